"""The network against logits, and the experts of one layer, recorded from upstream's code."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed import checkpoint

import llada_core
from llada_core import UsageError
from llada_llada2 import LLaDA2Config, LLaDA2Network
from llada_runtime.network.layer import Layer
from llada_runtime.network.layout import Layout, Span
from llada_runtime.plain import PlainForward
from tests.llada2.golden_data import GOLDENS, MODELS, golden_model
from tests.llada2.tiny_models import CONFIG, MINI, write_model

TOLERANCE = 2e-3  # of the goldens' manifest
BLOCK = 8  # of these files

each_model = pytest.mark.parametrize("name", MODELS)


def spans(name: str) -> tuple[dict[str, Tensor], Any, list[Span]]:
    """What is recorded, a cache, and the two calls: four blocks, and the next one against their keys."""
    golden, model = load_file(GOLDENS / "logits" / f"{name}.safetensors"), golden_model(name)
    first, following = (golden[f"{call}_input_ids"][0].tolist() for call in ("blocks", "next_block"))
    cache = model.new_cache(columns=64)
    cache.take(5)  # so that what is read does not begin where the pool does
    extent = cache.take(40)
    calls = [
        Span(ids=first, lo=0, hi=32, length=32, head_lo=0, head_hi=32, extent=extent, stride=BLOCK),
        Span(
            ids=following,
            lo=32,
            hi=40,
            length=40,
            head_lo=32,
            head_hi=40,
            extent=extent,
            reads=True,
            stride=BLOCK,
        ),
    ]
    return golden, cache, calls


@each_model
def test_four_blocks_and_the_next_one_have_upstreams_logits(name: str) -> None:
    model = golden_model(name)
    golden, cache, calls = spans(name)
    for call, span in zip(("blocks", "next_block"), calls, strict=True):
        logits = model.logits(Layout.of([span], device=model.device, merge=model.merges), cache)
        assert (logits - golden[f"{call}_logits"][0]).abs().max() <= TOLERANCE


@each_model
def test_the_plain_forward_has_them_too(name: str) -> None:
    golden, _, calls = spans(name)
    plain = PlainForward(golden_model(name))
    for call, span in zip(("blocks", "next_block"), calls, strict=True):
        assert (plain.logits(span) - golden[f"{call}_logits"][0]).abs().max() <= TOLERANCE


@each_model
def test_the_first_layer_of_experts_is_upstreams(name: str) -> None:
    model, golden = golden_model(name), load_file(GOLDENS / "logits" / f"{name}.safetensors")
    layer: Any = model.layers[len(model.shape.dense_layers)]
    assert isinstance(layer, Layer)
    x = golden["moe_input"][0]
    made = layer.mlp(x, torch.zeros_like(x))
    assert (made - golden["moe_output"][0]).abs().max() <= TOLERANCE
    weights, chosen = layer.mlp.router(x)
    order, theirs = chosen.sort(-1).indices, golden["moe_experts"].sort(-1)
    assert torch.equal(chosen.gather(1, order), theirs.values)
    torch.testing.assert_close(
        weights.gather(1, order), golden["moe_weights"].gather(1, theirs.indices), atol=1e-5, rtol=1e-5
    )


@each_model
def test_the_names_are_those_of_the_file(name: str) -> None:
    stored = load_file(GOLDENS / "models" / name / "model.safetensors")
    assert golden_model(name).tensor_names(GOLDENS / "models" / name) == stored.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"num_shared_experts": 0},
        {"num_shared_experts": 2},
        {"first_k_dense_replace": 0},
        {"first_k_dense_replace": 3},
        {"num_experts_per_tok": 1},
        {"n_group": 1, "topk_group": 1},
        {"use_qk_norm": False},
        {"partial_rotary_factor": 1.0},
        {"partial_rotary_factor": None, "rope_parameters": {"partial_rotary_factor": 0.25}},
        {"head_dim": 12, "num_key_value_heads": 1},
    ],
    ids=str,
)
def test_variants_of_the_architecture_decode(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = write_model(tmp_path, **changes)
    with llada_core.load_model(folder, device="cpu") as lm:
        algorithm, network = lm.algorithm("llada2_edit"), lm.model.network
        asked = algorithm.validate_args(gen_length=10, block_length=4, threshold=0.6, max_post_steps=2)
        output, nfe = algorithm.generate(network, torch.tensor([[20, 21, 22]]), **asked)
        plain = algorithm.reference_answer(network, [20, 21, 22], asked)
        assert (output[0, 3:].tolist(), nfe) == (list(plain.token_ids), plain.nfe)
        ids = list(range(20, 32))
        span = Span(ids=ids, lo=0, hi=12, length=12, head_lo=0, head_hi=12, stride=4)
        logits = network.logits(Layout.of([span], device=network.device, merge=network.merges), None)
        torch.testing.assert_close(logits, PlainForward(network).logits(span), atol=1e-3, rtol=1e-3)


def test_what_follows_a_block_does_not_change_it() -> None:
    """So the keys of a finished block can stay in the cache."""
    model, ids = golden_model("moe-64"), list(range(40))

    def logits(hi: int) -> Tensor:
        span = Span(ids=ids[:hi], lo=0, hi=hi, length=hi, head_lo=0, head_hi=hi, stride=BLOCK)
        return model.logits(Layout.of([span], device=model.device, merge=model.merges), None)

    torch.testing.assert_close(logits(16), logits(40)[:16], atol=1e-4, rtol=1e-4)
    assert (logits(12)[:12] - logits(16)[:12]).abs().max() > 0.01  # inside a block all see all


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_weights_of_eight_bits_decode(tmp_path: Path, kind: str) -> None:
    with llada_core.load_model(write_model(tmp_path), device="cpu", quantization=kind) as lm:
        assert lm.model.network.quantization == kind
        assert lm.generate([20, 21], gen_length=6, block_length=4, early_stop=False).nfe >= 2


def test_it_is_not_split_between_ranks(tmp_path: Path) -> None:
    told = r"tensor_parallel=2 splits no network whose layers have experts.*; leave tensor_parallel out"
    with pytest.raises(UsageError, match=told):
        llada_core.load_model(write_model(tmp_path), device="cpu", tensor_parallel=2)


def test_a_trainers_weights_are_read_straight(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    with llada_core.load_model(base, device="cpu") as lm:
        expected = lm.generate([20, 21], gen_length=8, block_length=4)
    (base / "model.safetensors").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save({"app": {"model": weights}}, checkpoint_id=tmp_path / "dcp")
    with llada_core.load_dcp(tmp_path / "dcp", base, device="cpu", temp_dir=tmp_path / "no") as lm:
        assert lm.dcp is not None
        assert lm.generate([20, 21], gen_length=8, block_length=4).token_ids == expected.token_ids


def test_the_plan_of_steps_is_told_without_weights() -> None:
    assert LLaDA2Network.planned_steps(MINI, device="cpu", dtype="float32").startswith("steps run on ")


def test_bfloat16_decodes_and_routes_in_float32(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    unread = LLaDA2Network(
        LLaDA2Config.from_pretrained(folder), device=torch.device("meta"), dtype=torch.bfloat16
    )
    wide = [name for name, tensor in unread.tensors().items() if tensor.dtype == torch.float32]
    assert len(wide) == 4  # two layers have experts
    assert all(".mlp.gate." in name for name in wide)
    network = LLaDA2Network.from_pretrained(folder, device="cpu", dtype="bfloat16")
    algorithm = llada_core.get_algorithm("llada2")
    output, _ = algorithm.generate(network, torch.tensor([[20, 21]]), gen_length=8, block_length=4)
    assert output.shape == (1, 10)


def test_the_config_of_the_tests_is_one_of_the_family() -> None:
    shape = LLaDA2Config.from_dict(CONFIG).shape
    assert [shape.experts_of(layer) is None for layer in range(3)] == [True, False, False]
