"""Published decoders that are combinations of parts decode as their compositions do: tokens and forwards."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llada_core
from tests.decoders.golden_data import Case, check_published, check_stopped, decode, golden_cases
from tests.decoders.test_adablock import CACHES as ADABLOCK
from tests.decoders.test_llada import ORDERS, without_idle_steps
from tests.parity.parity_data import GOLDENS, needs_engine

pytestmark = pytest.mark.alone

CACHES = {"basic": "none", "prefix_cache": "prefix", "dual_cache": "dual"}
RULES = {"dinfer_blockwise": "near_tie", "dinfer_hierarchy": "hierarchy", "dinfer_credit": "credit"}


def published(family: str) -> list[Case]:
    """The cases of an engine's own decoders."""
    cases: list[Case] = json.loads((GOLDENS / f"{family}.json").read_text())["cases"]
    return cases


def each(cases: list[Case]) -> pytest.MarkDecorator:
    """Runs a test with each case; all but every third are slow ones, as the decoders are tested with them."""
    marks = [() if at % 3 == 0 else pytest.mark.slow for at in range(len(cases))]
    found = zip(cases, marks, strict=True)
    return pytest.mark.parametrize("case", [pytest.param(c, id=c["id"], marks=mark) for c, mark in found])


def given_in(case: Case, *but: str) -> dict[str, Any]:
    """What a case gives, without ``but`` these and what is none."""
    return {name: value for name, value in case["params"].items() if name not in but and value is not None}


def guided(params: dict[str, Any]) -> dict[str, Any]:
    """Guidance is a policy; a scale of 0 is none."""
    scale = params.pop("cfg_scale", 0)
    return {**params, **({"cache": "guided", "cfg_scale": scale} if scale else {"cache": "none"})}


def by_its_rule(algorithm: str, params: dict[str, Any]) -> dict[str, Any]:
    """``params`` with the rule that is in force by them, which Fast-dLLM's own decoders choose."""
    effective = llada_core.get_algorithm(algorithm).validate_args(**params)
    rules = {"factor": "factor", "threshold": "threshold", "steps": "quota"}
    in_force = next(name for name in rules if effective[name] is not None)
    rest = {name: value for name, value in params.items() if name not in rules}
    return {**rest, "rule": rules[in_force], in_force: effective[in_force]}


@each(published("fastdllm"))
def test_fast_dllms_are_a_cache_and_a_rule(case: Case) -> None:
    params = by_its_rule(case["algorithm"], case["params"])
    rows = decode(case, "compose", {**params, "cache": CACHES[case["algorithm"]], "early_stop": False})
    assert [row.canvas for row in rows] == case["expected"]["sequences"]
    if len(rows) == 1:
        assert rows[0].nfe == case["expected"]["nfe"]


@each(golden_cases("eb"))
def test_an_entropy_budget_is_a_rule(case: Case) -> None:
    length = case["params"]["gen_length"]
    check_published(
        case, "compose", {"rule": "entropy_budget", "block_length": length, **guided(given_in(case))}
    )


@each(golden_cases("blockwise"))
def test_an_entropy_budget_has_orders(case: Case) -> None:
    check_published(
        case, "compose", {"rule": "entropy_budget", "cache": "none", "gamma": 0.0, **given_in(case)}
    )


@each([each for each in golden_cases("llada") if not any(v is True for v in each["params"].values())])
def test_lladas_orders_are_rules(case: Case) -> None:
    rule = ORDERS[case["algorithm"]].replace("confidence", "quota")
    params = given_in(case, "logits_eos_inf", "confidence_eos_eot_inf")  # both are off
    check_published(without_idle_steps(case), "compose", {"rule": rule, **guided(params)})


@each(golden_cases("klass"))
def test_klass_is_a_rule_that_sees_the_next_block(case: Case) -> None:
    check_published(case, "compose", {"rule": "klass", "cache": "none", **given_in(case)})


def streamed(case: Case) -> dict[str, Any]:
    """A case of Streaming-dLLM: its threshold falls, other rules are as they are."""
    params = by_its_rule("streaming", given_in(case, "confidence_alpha"))
    if params["rule"] == "threshold":
        params |= {"rule": "falling", **{n: v for n, v in case["params"].items() if n == "confidence_alpha"}}
    return {**params, "cache": "prefix", "horizon": "window_far", "end_with_block": True}


@each(golden_cases("streaming"))
def test_streaming_is_a_prefix_cache_a_far_horizon_and_a_falling_threshold(case: Case) -> None:
    check_published(case, "compose", streamed(case))


@each([case for case in golden_cases("streaming") if "stop_at_eos" in case])
def test_a_composed_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "compose", streamed(case))


@each(golden_cases("adablock"))
def test_adablock_is_an_adaptive_schedule(case: Case) -> None:
    params = given_in(case, "init_block_length", "delimiter_threshold")
    params["block_length"] = case["params"]["init_block_length"]
    least = case["params"].get("delimiter_threshold", 0.3)
    if least is None:  # all blocks alike
        params.pop("delimiter_ids", None)
    else:
        params |= {"schedule": "adaptive", "delimiter_threshold": least}
    check_published(case, "compose", {**params, "cache": ADABLOCK[case["algorithm"]]})


def is_composed(case: Case) -> bool:
    """Whether the dInfer decoder is a policy and a rule that can be named: without a cache its iterations are
    forwards of the whole canvas, unless they are smoothed; a prefix cache of iterations has no name."""
    params = case["params"]
    nameless = params["cache"] == "prefix" or params["threshold"] is None
    alone = params["cache"] is None and (params["cont_weight"] is not None or params["maximum_unroll"] > 1)
    return not (nameless or alone)


@needs_engine("dinfer")
@each([case for case in published("dinfer") if is_composed(case)])
def test_dinfers_are_a_vicinity_and_a_rule(case: Case) -> None:
    window = {"prefix_look": 0, "after_look": 0, "warmup_steps": 0}
    params = {**window, **given_in(case, "loop", "cache")}
    if case["params"]["cache"] is None:
        iteration = (*window, "maximum_unroll", "expected_tpf", "cache_update_freq")
        params = {name: value for name, value in params.items() if name not in iteration}
    cache = "none" if case["params"]["cache"] is None else "vicinity"
    rows = decode(case, "compose", {**params, "cache": cache, "rule": RULES[case["algorithm"]]})
    assert [row.canvas for row in rows] == case["expected"]["canvas"]
    if len(rows) == 1:
        assert rows[0].nfe == case["expected"]["nfe"]
