"""dInfer's rules and its iteration by name: made of effective values, as its algorithms make their own."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_dinfer.iteration import Iteration, Smoothing, Vicinity
from llada_dinfer.rules import CreditQuota, CreditThreshold, Hierarchy, NearTieThreshold

LENGTHS: dict[str, Any] = {"gen_length": 64, "block_length": 32}
CREDIT: dict[str, Any] = {"alpha": 0.7, "gamma": 0.2, "beta": 0.8}
WINDOW: dict[str, Any] = {"prefix_look": 16, "after_look": 16, "warmup_steps": 4}
ITERATION: dict[str, Any] = {"cache": "dual", "update_freq": None, "maximum_unroll": 1, "expected_tpf": 8}


def made(kind: str, name: str, given: dict[str, Any]) -> Any:
    """The part of these values of an algorithm, which are None where nothing is given."""
    asked = {"rule": llada_core.get_rule_info, "policy": llada_core.get_policy_info}[kind]
    load = {"rule": llada_core.load_rule, "policy": llada_core.load_policy}[kind]
    info = asked(name)
    assert info.distribution == "llada-dinfer"
    return load(name)(info.effective({each.name: None for each in info.parameters} | LENGTHS | given))


@pytest.mark.parametrize(
    ("name", "given", "rule"),
    [
        ("near_tie", {}, NearTieThreshold(0.9)),
        ("near_tie", {"threshold": 0.4}, NearTieThreshold(0.4)),
        ("hierarchy", {}, Hierarchy(0.9, 0.4)),
        ("hierarchy", {"low_threshold": 0.2}, Hierarchy(0.9, 0.2)),
        ("credit", {}, CreditThreshold(threshold=0.9, **CREDIT)),
        ("credit", {"credit_alpha": 0.1}, CreditThreshold(threshold=0.9, **CREDIT | {"alpha": 0.1})),
        ("credit", {"steps": 7}, CreditQuota(steps=4, **CREDIT)),
    ],
)
def test_a_rule_is_made_of_its_values(name: str, given: dict[str, Any], rule: Any) -> None:
    assert made("rule", name, given) == rule


@pytest.mark.parametrize(
    ("given", "vicinity", "smoothing"),
    [
        ({}, Vicinity(**WINDOW), None),
        ({"prefix_look": 0, "after_look": 0, "warmup_steps": 0}, None, None),
        (
            {"cont_weight": 0.3},
            Vicinity(**WINDOW),
            Smoothing(weight=0.3, weight_init=0.15, weight_growth=0.02, threshold_decay=0.02),
        ),
        (
            {"cont_weight": 0.3, "threshold_decay": 0.1, "after_look": 2},
            Vicinity(**WINDOW | {"after_look": 2}),
            Smoothing(weight=0.3, weight_init=0.15, weight_growth=0.02, threshold_decay=0.1),
        ),
    ],
)
def test_the_iteration_is_made_of_its_values(given: dict[str, Any], vicinity: Any, smoothing: Any) -> None:
    assert made("policy", "vicinity", given) == Iteration(**ITERATION, vicinity=vicinity, smoothing=smoothing)


def test_what_is_of_smoothing_is_refused_without_it() -> None:
    with pytest.raises(ParameterError, match=r"threshold_decay=0\.1 only works with iteration smoothing"):
        made("policy", "vicinity", {"threshold_decay": 0.1})


@pytest.mark.parametrize(
    "given",
    [{}, WINDOW, {"cont_weight": 0.2, "after_look": 3}, {"maximum_unroll": 4, "cache_update_freq": 5}],
)
@pytest.mark.parametrize(
    ("name", "rule"),
    [("dinfer_blockwise", "near_tie"), ("dinfer_hierarchy", "hierarchy"), ("dinfer_credit", "credit")],
)
def test_an_algorithm_is_the_composition_of_its_parts(name: str, rule: str, given: dict[str, Any]) -> None:
    algorithm: Any = llada_core.get_algorithm(name)
    params = algorithm.validate_args(**LENGTHS, **given)
    assert made("rule", rule, params) == algorithm.rule(params)
    assert made("policy", "vicinity", params) == algorithm.policy(params)
