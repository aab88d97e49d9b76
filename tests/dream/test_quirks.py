"""The published decoders' bugs and quirks, by their number: what is kept of each, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import ParameterError
from llada_dream.rules import _shares, kept_at
from llada_runtime import drain
from llada_runtime.testing import MASK, FakeNetwork
from tests.dream.dream_data import ALGORITHMS, MODELS, decode, model_of, row_of
from tests.dream.tiny import write_model

PROMPT = [5, 9, 11]
CACHED = ["dream_prefix_cache", "dream_dual_cache"]
STEPS: dict[str, dict[str, Any]] = {"dream": {"alg": "entropy", "steps": 6}}

each_algorithm = pytest.mark.parametrize("name", ALGORITHMS)
each_cached = pytest.mark.parametrize("name", CACHED)


def filled(network: Any, name: str, **given: Any) -> list[tuple[int, ...]]:
    """The positions that each forward fills."""
    return [step.positions for step in drain(network, [row_of(network, name, [1, 2], **given)], rows=1)]


@each_cached
def test_d1_one_step_a_block_fills_the_block_in_the_calls_that_upstream_wastes(name: str) -> None:
    network = FakeNetwork.random()
    steps = filled(network, name, gen_length=16, block_length=8, alg="entropy", steps=2)
    assert [len(positions) for positions in steps] == [1, 7, 1, 7]


@each_cached
@pytest.mark.parametrize("alg", ["maskgit_plus", "topk_margin", "origin"])
def test_d2_a_measure_that_the_cached_schedule_would_not_look_at_is_refused(name: str, alg: str) -> None:
    with pytest.raises(ParameterError, match=f"alg='{alg}' is not accepted; give one of confidence_thr"):
        llada_core.get_algorithm(name).validate_args(alg=alg)


@each_algorithm
def test_d3_several_rows_come_to_their_end_as_each_alone(name: str) -> None:
    model, given = model_of(MODELS[1]), {"gen_length": 12, **STEPS.get(name, {})}
    prompts = [PROMPT, [20, 21, 22], [40, 41]]
    together = decode(model, *(row_of(model, name, ids, **given) for ids in prompts))
    assert together == [decode(model, row_of(model, name, ids, **given))[0] for ids in prompts]


def test_d4_a_block_is_written_to_the_rows_own_columns_of_the_cache() -> None:
    """Upstream's dual cache writes into keys and values of the caller; here a neighbour's stay its own."""
    model, given = model_of(MODELS[1]), {"gen_length": 16, "block_length": 4}
    twins = [row_of(model, "dream_dual_cache", PROMPT, **given) for _ in range(3)]
    (alone,) = decode(model, row_of(model, "dream_dual_cache", PROMPT, **given))
    assert decode(model, *twins) == [alone] * 3


def test_d5_steps_that_do_not_divide_the_length_are_spread() -> None:
    network = FakeNetwork.random()
    steps = filled(network, "dream_threshold", gen_length=10, steps=4, threshold=0.0)
    assert [len(positions) for positions in steps] == [3, 3, 2, 2]
    late = filled(network, "dream_threshold", gen_length=3, steps=7, threshold=0.0)
    assert [len(positions) for positions in late] == [1, 1, 1]


def test_d6_of_equally_sure_positions_the_leftmost_goes_first() -> None:
    network = FakeNetwork.scripted(5, [0.9 - 0.05 * column for column in range(14)][::-1])
    given = {"alg": "maskgit_plus", "gen_length": 8, "steps": 4, "eps": 0.0}
    assert filled(network, "dream", **given)[0] == (6, 7)  # the surest
    assert filled(network, "dream", top_p=0.2, **given)[0] == (0, 1)  # each is certain of its one token


@each_algorithm
def test_d7_the_mask_is_never_proposed_so_that_none_is_left_and_no_loop_is_endless(name: str) -> None:
    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        logits = torch.zeros(hi - lo, 32)
        logits[:, MASK], logits[:, 7] = 50.0, 5.0
        return logits

    network = FakeNetwork(propose)
    steps = STEPS.get(name, {})
    ((canvas, nfe),) = decode(network, row_of(network, name, [1, 2], gen_length=8, early_stop=False, **steps))
    assert (canvas, nfe <= 16) == ([1, 2, *[7] * 8], True)


def test_d8_numbers_of_tokens_are_computed_on_the_cpu_whatever_the_device() -> None:
    _shares.cache_clear()
    with torch.device("meta"):
        assert kept_at(2, 18, steps=8, eps=1e-3) == 2
    assert (_shares(8, 1e-3).device.type, _shares(8, 1e-3).dtype) == ("cpu", torch.float32)


def test_d9_without_blocks_the_end_may_be_written_first_and_in_blocks_it_waits() -> None:
    """Why published scores of the parallel mode without a cache collapse."""
    network = FakeNetwork.scripted(5, [0.5] * 12 + [0.99] * 8)
    given = {"gen_length": 16, "threshold": 0.9}
    assert set(filled(network, "dream_threshold", steps=1, **given)[0]) == set(range(11, 16))
    for name in CACHED:
        steps = filled(network, name, block_length=4, **given)
        order = [position // 4 for positions in steps for position in positions]
        assert order == sorted(order)


@pytest.mark.parametrize("trust", [False, True])
def test_d10_the_models_own_code_is_never_run(tmp_path: Path, trust: bool) -> None:
    auto_map = {"AutoConfig": "configuration_dream.DreamConfig", "AutoModel": "modeling_dream.DreamModel"}
    folder = write_model(tmp_path, auto_map=auto_map)
    for name in ("configuration_dream.py", "modeling_dream.py"):
        (folder / name).write_text("raise SystemExit('run')\n")
    lm = llada_core.load_model(folder, device="cpu", trust_remote_code=trust)
    assert lm.generate([5, 6], gen_length=4, steps=4, early_stop=False).nfe == 4
    assert not hasattr(lm.model.network, "generate")


@each_algorithm
def test_d11_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = model_of(MODELS[1])
    decode(model, row_of(model, name, PROMPT, gen_length=8, **STEPS.get(name, {})))
    assert capfd.readouterr() == ("", "")


def test_d12_chance_is_the_rows_own_and_the_global_generator_is_left_alone() -> None:
    model, given = model_of(MODELS[1]), {"gen_length": 8, "steps": 8, "seed": 5}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = decode(model, row_of(model, "dream", PROMPT, **given))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert decode(model, row_of(model, "dream", PROMPT, **given)) == first


def test_origin_runs_all_of_its_forwards_unless_it_may_stop() -> None:
    """Chance may have filled everything before the last step."""
    model = model_of(MODELS[1])
    saved = 0
    for seed in range(4):
        given = {"gen_length": 2, "steps": 12, "seed": seed}
        ((tokens, all_of_them),) = decode(model, row_of(model, "dream", PROMPT, early_stop=False, **given))
        ((same, fewer),) = decode(model, row_of(model, "dream", PROMPT, **given))
        assert (same, all_of_them) == (tokens, 12)
        saved += 12 - fewer
    assert saved > 0


@each_cached
def test_a_block_of_one_column_takes_a_second_forward_unless_it_may_stop(name: str) -> None:
    model = model_of(MODELS[1])  # which predicts no end
    runs = [
        decode(model, row_of(model, name, PROMPT, gen_length=5, block_length=1, early_stop=stop))[0]
        for stop in (False, True)
    ]
    assert runs[0][0] == runs[1][0]
    assert (runs[0][1], runs[1][1]) == (10, 5)


@each_cached
@pytest.mark.parametrize("alg", ["confidence_threshold", "entropy"])
@pytest.mark.parametrize("gen_length", [11, 9])
def test_the_last_block_may_be_short(name: str, alg: str, gen_length: int) -> None:
    model = model_of(MODELS[1])
    given = {"gen_length": gen_length, "block_length": 4, "alg": alg}
    rows = [row_of(model, name, PROMPT, early_stop=stop, **given) for stop in (True, False)]
    (canvas, fewer), (same, more) = decode(model, *rows)
    assert canvas == same
    assert len(canvas) == 3 + gen_length
    assert model.config.mask_token_id not in canvas
    assert more - fewer == (gen_length == 9)  # a block of one column has a forward more


@each_algorithm
def test_a_row_stops_at_its_end_token_where_it_may(name: str) -> None:
    eos = FakeNetwork.random().config.eos_token_id
    network = FakeNetwork.scripted({column: 5 if column < 4 else eos for column in range(40)}, 0.99)
    own = {"dream": {"alg": "entropy", "steps": 16}, "dream_threshold": {"steps": 4}}
    given = {"gen_length": 16, **own.get(name, {"block_length": 4})}
    rows = [row_of(network, name, [1, 2], early_stop=stop, **given) for stop in (True, False)]
    (stopped, fewer), (whole, more) = decode(network, *rows)
    assert stopped == whole == [1, 2, 5, 5, 5, *[eos] * 13]
    assert fewer < more
