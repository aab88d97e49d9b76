"""Fast-dLLM's rules and policies by name: made of effective values, as its algorithms make their own."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_runtime import DualCache, Factor, NoCache, PrefixCache, Quota, Threshold

LENGTHS: dict[str, Any] = {"gen_length": 64, "block_length": 32}


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("threshold", {}, Threshold(0.9)),
        ("threshold", {"threshold": 0.5}, Threshold(0.5)),
        ("factor", {}, Factor(1.0)),
        ("factor", {"factor": 2}, Factor(2.0)),
        ("quota", {}, Quota(32)),
        ("quota", {"steps": 7}, Quota(4)),
    ],
)
def test_a_rule_is_made_of_its_values(name: str, given: dict[str, Any], made: Any) -> None:
    info = llada_core.get_rule_info(name)
    assert info.distribution == "llada-fastdllm"
    params = {each.name: None for each in info.parameters} | LENGTHS | given
    assert llada_core.load_rule(name)(info.effective(params)) == made


@pytest.mark.parametrize(
    ("name", "alias", "kind"),
    [
        ("none", "no_cache", NoCache),
        ("prefix", "prefix_cache", PrefixCache),
        ("dual", "dual_cache", DualCache),
    ],
)
def test_a_policy_is_made_by_name_and_alias(name: str, alias: str, kind: type) -> None:
    assert llada_core.get_policy_info(alias).name == name
    assert type(llada_core.load_policy(alias)(LENGTHS)) is kind


@pytest.mark.parametrize("given", [{}, {"threshold": 0.7}, {"factor": 0.5}, {"steps": 9}])
@pytest.mark.parametrize("name", ["basic", "prefix_cache", "dual_cache"])
def test_an_algorithm_is_the_composition_of_its_parts(name: str, given: dict[str, Any]) -> None:
    algorithm: Any = llada_core.get_algorithm(name)
    params = algorithm.validate_args(**LENGTHS, **given)
    in_force = next(each for each in ("factor", "threshold", "steps") if params[each] is not None)
    rule = {"steps": "quota"}.get(in_force, in_force)
    made = llada_core.load_rule(rule)(llada_core.get_rule_info(rule).effective(params))
    assert made == algorithm.rule(params)
    policy = {"basic": "none", "prefix_cache": "prefix", "dual_cache": "dual"}[name]
    assert type(llada_core.load_policy(policy)(params)) is type(algorithm.policy(params))


def test_a_value_out_of_range_names_the_rule() -> None:
    with pytest.raises(ParameterError, match="the rule threshold: threshold=2 is out of range"):
        llada_core.get_rule_info("threshold").effective({"threshold": 2})
