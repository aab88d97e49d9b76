"""``llada`` against what LLaDA's own ``generate`` and its relatives decoded, and what it does otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_core import ParameterError
from llada_decoders.guidance import Guided
from llada_decoders.llada import EndsLast, OrderedQuota
from llada_runtime import Canvases, LLaDAModel, NoCache, Plan, Quota, Sequence, drain
from llada_runtime.testing import EOS, MASK, FakeConfig, FakeNetwork, check_rule, small_llada
from tests.decoders.golden_data import (
    Case,
    check_published,
    check_stopped,
    each_case,
    each_that_stops,
    golden_cases,
)

pytestmark = pytest.mark.alone


class Endless(FakeConfig):
    """Of a model that declares no end token."""

    eos_ids = ()


ORDERS = {"generate": "confidence", "generate_with_entropy": "entropy", "generate_with_margin": "margin"}


def params_of(case: Case) -> dict[str, Any]:
    """Ours of a case of llada.json; ``eot_id`` is said there also where nothing reads it."""
    given = {**case["params"], "order": ORDERS[case["algorithm"]]}
    if not given.get("confidence_eos_eot_inf"):
        given.pop("eot_id", None)
    return given


def without_idle_steps(case: Case) -> Case:
    """Upstream goes on when a block is full; we do not."""
    most = case["params"]["gen_length"]  # a token a step
    return {**case, "expected": {**case["expected"], "nfe": min(case["expected"]["nfe"], most)}}


@each_case("llada")
def test_tokens_and_forwards_are_upstreams(case: Case) -> None:
    check_published(without_idle_steps(case), "llada", params_of(case))


@each_that_stops("llada")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(without_idle_steps(case), "llada", params_of(case))


@pytest.mark.parametrize("case", [c for c in golden_cases("blockwise") if c["params"]["gamma"] is None])
def test_the_orders_rank_within_a_block(case: Case) -> None:
    """A constant number a step, where it divides the block, is a quota."""
    given = {name: value for name, value in case["params"].items() if name != "gamma"}
    steps = given["gen_length"] // given.pop("tokens_per_step")
    check_published(case, "llada", {**given, "steps": steps})


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def rows_of(model: Any, *settings: dict[str, Any], answer: list[int | None] | None = None) -> list[Sequence]:
    """Rows of one prompt by these settings, decoded together."""
    algorithm = llada_core.get_algorithm("llada")
    rows = [
        algorithm.sequence(
            model, [5, 9, 2], algorithm.validate_args(**{"gen_length": 8, **each}), answer=answer
        )
        for each in settings
    ]
    assert not [step.error for step in drain(model, rows, rows=len(rows)) if step.error is not None]
    return rows


def test_what_was_given_is_hidden_from_the_second_canvas(model: LLaDAModel) -> None:
    """The prompt, and text that is fixed in the answer; not what is generated."""
    algorithm = llada_core.get_algorithm("llada")
    params = algorithm.validate_args(gen_length=4, cfg_scale=1.0)
    row = algorithm.sequence(model, [5, 9, 2], params, answer=[None, 7, None, None])
    row.commit([3], [11])
    assert row.policy.plan(row).canvases == ((MASK, MASK, MASK, 11, MASK, MASK, MASK),)


def test_no_guidance_is_one_canvas() -> None:
    algorithm = llada_core.get_algorithm("llada")
    assert type(algorithm.policy(algorithm.validate_args())) is NoCache
    assert algorithm.policy(algorithm.validate_args(cfg_scale=0.5)) == Guided(0.5)
    assert type(algorithm.rule(algorithm.validate_args())) is Quota


@pytest.mark.parametrize("name", ["llada", "eb_sampler", "daedal", "compose"])
def test_the_strongest_guidance_makes_no_logit_infinite_in_half_precision(name: str) -> None:
    (scale,) = (each for each in llada_core.get_algorithm(name).parameters if each.name == "cfg_scale")
    assert scale.maximum is not None
    logits = torch.tensor([[[300.0, -300.0]], [[-300.0, 300.0]]], dtype=torch.float16)
    row: Any = None
    plan = Plan(lo=0, hi=1, canvases=((0,),))
    combined = Guided(scale.maximum).combine(row, plan, logits)
    assert combined.isfinite().all()


@pytest.mark.parametrize("scales", [(0.5, 0.5, 0.5), (0.5, 1.5, 0.5)])
def test_guided_rows_are_moved_by_their_own_scales_at_once(scales: tuple[float, ...]) -> None:
    """In half precision, where a scale as a tensor would be rounded before."""
    row: Any = None
    plan = Plan(lo=0, hi=4, canvases=((0, 0, 0, 0),))
    logits = [torch.randn(2, width, 9, dtype=torch.bfloat16) for width in (4, 2, 3)]
    rows = [
        Canvases(policy=Guided(scale), sequence=row, plan=plan, width=each.shape[1])
        for scale, each in zip(scales, logits, strict=True)
    ]
    combined = Guided.combine_all(rows, torch.cat([each.flatten(0, 1) for each in logits]))
    wanted = [
        without + (scale + 1) * (given - without)
        for scale, (given, without) in zip(scales, logits, strict=True)
    ]
    assert combined.equal(torch.cat(wanted))


def test_end_tokens_can_be_left_for_last() -> None:
    """The network is surest of the end at every position, and then of token 4."""
    logits = torch.zeros(6, 8)
    logits[:, 1], logits[:, 4] = 9.0, torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0, 0.5])
    config = FakeConfig(vocab_size=8, mask_token_id=7, eos_token_id=1)
    last, named = EndsLast(1), EndsLast(1, eot_id=4)
    row = Sequence([3], config, gen_length=6, block_length=6, policy=NoCache(), rule=last)
    ends, others = torch.ones(6, dtype=torch.int64), torch.full((6,), 4)
    assert last.score(row, logits, ends).tolist() == [0.0] * 6
    without = logits.index_fill(-1, torch.tensor([1]), -torch.inf)
    assert torch.allclose(last.score(row, logits, others), without.double().softmax(-1)[:, 4])
    assert named.score(row, logits, others).tolist() == [0.0] * 6


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_answer_without_an_end_has_its_full_length(model: LLaDAModel, temperature: float) -> None:
    given = {"logits_eos_inf": True, "temperature": temperature, "seed": 3}
    rows = rows_of(model, {**given, "gen_length": 24}, {**given, "confidence_eos_eot_inf": True})
    assert not any(EOS in row.canvas for row in rows)
    assert [row.nfe for row in rows] == [24, 8]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"order": "entropy", "remasking": "random"},
            "order='entropy' ranks positions, which remasking=random",
        ),
        ({"order": "margin", "confidence_eos_eot_inf": True}, "order='margin' ranks by something else"),
        (
            {"remasking": "random", "confidence_eos_eot_inf": True},
            "confidence_eos_eot_inf=True ranks positions",
        ),
        ({"eot_id": 3}, "eot_id=3 is read with confidence_eos_eot_inf=True only"),
        ({"cfg_scale": -1.0}, r"cfg_scale=-1\.0 is out of range"),
        ({"cfg_scale": 1e308}, r"cfg_scale=1e\+308 is out of range; give a number from 0 to 100"),
        ({"threshold": 0.5}, "llada does not take threshold=0.5"),
    ],
)
def test_what_contradicts_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("llada").validate_args(**given)


def test_options_about_end_tokens_need_some(model: LLaDAModel) -> None:
    algorithm = llada_core.get_algorithm("llada")
    params = algorithm.validate_args(confidence_eos_eot_inf=True, eot_id=10_000)
    with pytest.raises(ParameterError, match=r"eot_id=10000 is no token of this model; give an id from 0 to"):
        algorithm.sequence(model, [1], params)
    endless = FakeNetwork.scripted(tokens=4, config=Endless())
    for name in ("logits_eos_inf", "confidence_eos_eot_inf"):
        with pytest.raises(ParameterError, match=f"{name}=True needs an end token"):
            algorithm.sequence(endless, [1], algorithm.validate_args(**{name: True}))


def test_its_rules_keep_the_contract() -> None:
    check_rule(OrderedQuota(3, "margin"))
    check_rule(EndsLast(3))
