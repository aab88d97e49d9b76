"""Other weights in a loaded network's memory: the logits of a freshly loaded one, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from llada_core import UsageError
from llada_runtime import CheckpointError, LLaDAConfig, LLaDAModel
from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.network.calls import Merge
from llada_runtime.network.exchange import exchange
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.rest import release, take
from llada_runtime.testing import LLADA_CONFIG, FakeNetwork, write_llada
from tests.runtime.packing import filled_cache
from tests.runtime.test_graphs import LENGTHS, agree, step
from tests.support.graphing import AsCaptured, FakeGraphs
from tests.support.llada_moe import write_llada_moe

IDS = torch.tensor([[1, 2, 3, 4, 5, 30, 30]])
EMBEDDING, HEAD = "model.transformer.wte.weight", "model.transformer.ff_out.weight"
Q = "model.transformer.blocks.1.q_proj.weight"

FAMILIES: dict[str, tuple[Any, Callable[..., Path], dict[str, Any]]] = {
    "llada": (LLaDAModel, write_llada, {}),
    "tied": (LLaDAModel, write_llada, {"weight_tying": True}),
    "experts": (LLaDAMoEModel, write_llada_moe, {}),
    "experts, tied": (LLaDAMoEModel, write_llada_moe, {"tie_word_embeddings": True}),
}
each_family = pytest.mark.parametrize("family", FAMILIES)
each_kind = pytest.mark.parametrize("quantization", [None, "fp8", "int8"])


def folder(place: Path, family: str, seed: int, weights: Any = None, **changes: Any) -> Path:
    """A checkpoint of its own, which holds a tied weight once."""
    place = place / f"{family} {seed}"
    place.mkdir(exist_ok=True)
    given = {**({"lm_head.weight": ...} if family == "experts, tied" else {}), **(weights or {})}
    return FAMILIES[family][1](place, seed=seed, weights=given, **FAMILIES[family][2], **changes)


def loaded(place: Path, family: str = "llada", **options: Any) -> Any:
    return FAMILIES[family][0].from_pretrained(place, device="cpu", **options)


def weights(place: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(place / "model.safetensors")
    return found


@each_family
@each_kind
def test_logits_are_those_of_the_network_freshly_loaded(
    tmp_path: Path, family: str, quantization: str | None
) -> None:
    before, after = folder(tmp_path, family, 0), folder(tmp_path, family, 1)
    network = loaded(before, family, quantization=quantization)
    wanted = loaded(after, family, quantization=quantization)(IDS)
    assert not torch.equal(network(IDS), wanted)
    exchange(network, weights(after))
    assert torch.equal(network(IDS), wanted)
    exchange(network, iter(weights(before).items()))
    assert torch.equal(network(IDS), loaded(before, family, quantization=quantization)(IDS))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_are_cast_as_those_of_a_checkpoint(tmp_path: Path, dtype: torch.dtype) -> None:
    given = {name: tensor.to(dtype) for name, tensor in weights(folder(tmp_path, "llada", 1)).items()}
    network = loaded(folder(tmp_path, "llada", 0))
    exchange(network, {name: nn.Parameter(tensor) for name, tensor in given.items()})
    cast = {name: tensor.float() for name, tensor in given.items()}
    assert torch.equal(network(IDS), loaded(folder(tmp_path, "llada", 2, weights=cast))(IDS))


@pytest.mark.parametrize("family", ["llada", "experts"])
@each_kind
def test_a_part_of_a_fused_weight_is_written_and_the_rest_stays(
    tmp_path: Path, family: str, quantization: str | None
) -> None:
    before = folder(tmp_path, family, 0)
    some = {
        name: tensor
        for name, tensor in weights(folder(tmp_path, family, 1)).items()
        if "k_proj" in name or "up_proj" in name
    }
    assert some
    network = loaded(before, family, quantization=quantization)
    exchange(network, some, partial=True)
    mixed = folder(tmp_path, family, 2, weights={**weights(before), **some})
    assert torch.equal(network(IDS), loaded(mixed, family, quantization=quantization)(IDS))


def test_weights_that_are_not_packed_keep_their_memory(tmp_path: Path) -> None:
    network = loaded(folder(tmp_path, "llada", 0), dtype="float16")
    addresses = {name: tensor.data_ptr() for name, tensor in network.tensors().items()}
    given = weights(folder(tmp_path, "llada", 1))
    exchange(network, given)
    assert {name: tensor.data_ptr() for name, tensor in network.tensors().items()} == addresses
    assert all(torch.equal(tensor, given[name].half()) for name, tensor in network.tensors().items())


def test_a_tied_weight_may_come_under_either_name_or_both(tmp_path: Path) -> None:
    after = folder(tmp_path, "tied", 1)
    given, wanted = weights(after), loaded(after)(IDS)
    matrix = given.pop(EMBEDDING)
    for names in ([HEAD], [EMBEDDING], [EMBEDDING, HEAD]):
        network = loaded(folder(tmp_path, "tied", 0))
        exchange(network, {**given, **{name: matrix.clone() for name in names}})
        assert torch.equal(network(IDS), wanted)


def test_of_tied_weights_the_memory_may_be_one_that_is_used_again(tmp_path: Path) -> None:
    after = folder(tmp_path, "tied", 1)
    given, bucket = weights(after), torch.empty(32 * 16)
    given[HEAD] = given[EMBEDDING]

    def pairs() -> Iterator[tuple[str, Tensor]]:
        for name in (EMBEDDING, *(each for each in given if each not in (EMBEDDING, HEAD)), HEAD):
            there = bucket[: given[name].numel()].view_as(given[name])
            yield name, given[name] if name == HEAD else there.copy_(given[name])

    network = loaded(folder(tmp_path, "tied", 0))
    exchange(network, pairs())
    assert torch.equal(network(IDS), loaded(after)(IDS))


def test_tied_weights_may_be_no_numbers(tmp_path: Path) -> None:
    given = weights(folder(tmp_path, "tied", 1))
    given[EMBEDDING][0, 0] = torch.nan
    for weighed in ({**given, HEAD: given[EMBEDDING].clone()}, [*given.items(), (HEAD, given[EMBEDDING])]):
        network = loaded(folder(tmp_path, "tied", 0))
        exchange(network, weighed)
        assert network(IDS).isnan().any()


def test_it_may_be_done_in_inference_mode_and_again_outside(tmp_path: Path) -> None:
    after = folder(tmp_path, "experts", 1)
    network = loaded(folder(tmp_path, "experts", 0), "experts")
    with torch.inference_mode():
        exchange(network, weights(folder(tmp_path, "experts", 0)))
        release(network, 2)
        take(network)
    assert not any(parameter.is_inference() for parameter in network.parameters())
    exchange(network, weights(after))
    assert torch.equal(network(IDS), loaded(after, "experts")(IDS))


class Spread(Tensor):  # type: ignore[misc]  # torch has no types here
    """What a trainer holds a part of."""

    def full_tensor(self) -> Tensor:
        return self


MEANT = "give them by the names of the published checkpoint"
REFUSED: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "unknown": (lambda w: {**w, "lm_head.weight": w[HEAD]}, rf"hold lm_head.weight, .*{MEANT}"),
    "missing": (lambda w: {n: t for n, t in w.items() if n != Q}, rf"lack {Q}; give all of them, or say"),
    "shape": (lambda w: {**w, Q: torch.ones(16, 15)}, rf"{Q} is \[16, 15\], and config.json makes it"),
    "numbers": (lambda w: {**w, Q: torch.ones(16, 16, dtype=torch.int8)}, rf"{Q} is of int8, which needs"),
    "none": (lambda w: {**w, Q: torch.ones(16, 16, device="meta")}, "give one that holds its numbers"),
    "sparse": (lambda w: {**w, Q: torch.ones(16, 16).to_sparse()}, "give one that holds its numbers"),
    "list": (lambda w: {**w, Q: [1.0]}, rf"{Q} is a list of 1; give a tensor"),
    "spread": (lambda w: {**w, Q: torch.ones(16, 16).as_subclass(Spread)}, "what its full_tensor"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_mapping_with_something_wrong_changes_nothing(tmp_path: Path, why: str) -> None:
    made, told = REFUSED[why]
    network = loaded(folder(tmp_path, "llada", 0))
    before = network(IDS)
    with pytest.raises(CheckpointError, match=told):
        exchange(network, made(weights(folder(tmp_path, "llada", 1))))
    assert torch.equal(network(IDS), before)


def test_tied_weights_that_differ_are_refused(tmp_path: Path) -> None:
    network = loaded(folder(tmp_path, "tied", 0))
    before, given = network(IDS), weights(folder(tmp_path, "tied", 1))
    for weighed in ({**given, HEAD: torch.ones(32, 16)}, [*given.items(), (HEAD, torch.ones(32, 16))]):
        with pytest.raises(CheckpointError, match=f"ties {EMBEDDING} and {HEAD} to each other"):
            exchange(network, weighed)
        if isinstance(weighed, dict):
            assert torch.equal(network(IDS), before)


def test_pairs_are_refused_where_one_is_wrong(tmp_path: Path) -> None:
    network = loaded(folder(tmp_path, "llada", 0))
    given = [*weights(folder(tmp_path, "llada", 1)).items()]
    for pairs, told in (
        ([*given, given[0]], f"hold {given[0][0]} twice"),
        (given[1:], f"lack {given[0][0]}"),
        ([*given, "other"], "among the weights is 'other'; give pairs"),
    ):
        with pytest.raises(CheckpointError, match=told):
            exchange(network, pairs)
    exchange(network, given)
    assert torch.equal(network(IDS), loaded(folder(tmp_path, "llada", 1))(IDS))


def test_what_follows_from_the_config_is_passed_over(tmp_path: Path) -> None:
    network, after = loaded(folder(tmp_path, "llada", 0)), folder(tmp_path, "llada", 1)
    exchange(network, {**weights(after), "model.rotary.inv_freq": torch.ones(2)})
    assert torch.equal(network(IDS), loaded(after)(IDS))


@pytest.fixture
def captured(tmp_path: Path, ragged: None, graphs: FakeGraphs) -> Graphed:
    """A network that captures a step when it meets it again."""
    place = folder(tmp_path, "llada", 0)
    plain = AsCaptured.from_pretrained(place, device="cpu", dtype="float16")
    plain._merges = Merge.RAGGED
    return Graphed(plain, record=graphs, after=1)


def stepped(network: Graphed) -> None:
    """Run a step often enough that it is captured, and look at its logits."""
    cache, extents = filled_cache(cast("LLaDAModel", network.network), LENGTHS)
    for seed in range(3):
        agree(network, cache, *(step(extent, 8, seed=seed) for extent in extents))


def test_graphs_stay_and_go_on_with_the_new_weights(
    tmp_path: Path, captured: Graphed, graphs: FakeGraphs
) -> None:
    cache, extents = filled_cache(cast("LLaDAModel", captured.network), LENGTHS)
    spans = [step(extent, 8) for extent in extents]
    before = [agree(captured, cache, *spans) for _ in range(3)][-1]
    exchange(captured, weights(folder(tmp_path, "llada", 1)))
    assert not torch.equal(agree(captured, cache, *spans), before)
    assert (graphs.captured, graphs.replayed) == (1, 3)


def test_what_is_no_network_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="FakeNetwork is no transformer of this runtime, so that its weights"
    ):
        exchange(FakeNetwork.random(), {})
    split: Any = loaded(folder(tmp_path, "llada", 0))
    split.tensor_parallel = 2
    with pytest.raises(UsageError, match="split between 2 ranks"):
        exchange(split, {})
    del split.tensor_parallel
    for given in ("weights", 7, torch.ones(2)):
        with pytest.raises(UsageError, match="give a mapping of names to tensors"):
            exchange(split, given)


# -- memory


@each_family
@each_kind
def test_a_network_is_what_it_was_once_it_has_its_memory_again(
    tmp_path: Path, family: str, quantization: str | None
) -> None:
    place = folder(tmp_path, family, 0)
    network = loaded(place, family, quantization=quantization)
    wanted = network(IDS)
    release(network, 1)
    take(network)
    assert torch.equal(network(IDS), wanted)
    release(network, 2)
    held = [name for name, parameter in network.named_parameters() if not parameter.is_meta]
    assert not held
    take(network)
    exchange(network, weights(place))
    assert torch.equal(network(IDS), wanted)
    head: Any = network.head
    assert head.packed is None or head.weight is None


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc to read it from")
@each_kind
def test_dropped_weights_give_their_memory_back(quantization: str | None) -> None:
    wide = {"d_model": 512, "mlp_hidden_size": 16384, "n_layers": 2, "n_kv_heads": 4}
    config = LLaDAConfig.from_dict({**LLADA_CONFIG, **wide})
    network = LLaDAModel(config, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        for tensor in network.tensors().values():
            tensor.fill_(0.01)
    if quantization:
        network.quantise(quantization)
    network.pack()
    before, held = resident(), 2 * 3 * 512 * 16384 * (1 if quantization else 4)
    release(network, 2)
    assert before - resident() > 0.9 * held


def test_a_forward_without_weights_raises(tmp_path: Path) -> None:
    network = loaded(folder(tmp_path, "llada", 0))
    release(network, 2)
    with pytest.raises((RuntimeError, NotImplementedError)):
        network(IDS)


def test_what_could_not_be_taken_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path, "llada", 0)
    network, made = loaded(place), 0
    wanted = network(IDS)
    release(network, 2)
    zeros = torch.zeros

    def short(*args: Any, **given: Any) -> Tensor:
        nonlocal made
        made += 1
        if made > 3:
            raise torch.OutOfMemoryError
        return cast("Tensor", zeros(*args, **given))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "zeros", short)
        with pytest.raises(torch.OutOfMemoryError):
            take(network)
    assert all(parameter.is_meta for parameter in network.parameters())
    take(network)
    exchange(network, weights(place))
    assert torch.equal(network(IDS), wanted)


def test_a_cache_that_is_kept_by_a_traceback_does_not_keep_it_from_waking(captured: Graphed) -> None:
    captured.reserve(64)
    kept = captured.new_cache(columns=64)
    extent = kept.take(16)
    release(captured, 1)
    take(captured)
    assert captured.reserve(64).free == 64
    assert extent is not None


def test_graphs_are_let_go_and_captured_anew(tmp_path: Path, captured: Graphed, graphs: FakeGraphs) -> None:
    stepped(captured)
    assert (graphs.captured, len(captured._graphs)) == (1, 1)
    release(captured, 2)
    assert not captured._graphs
    take(captured)
    exchange(captured, weights(folder(tmp_path, "llada", 0)))
    stepped(captured)
    assert graphs.captured > 1
