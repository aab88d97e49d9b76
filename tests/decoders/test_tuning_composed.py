"""What is tried of an algorithm of parts: each choice of parts with what these read, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from llada_core import ParameterError, get_algorithm_info, get_policy_info, get_rule_info, list_rules
from llada_decoders.tuning.candidates import candidates_of
from llada_decoders.tuning.values import given_values

pytestmark = pytest.mark.alone

INFO = get_algorithm_info("compose")
OWN = {each.name for each in INFO.spec.parameters}


def tried(**given: object) -> list[dict[str, Any]]:
    found = candidates_of(INFO, given_values(INFO, {"gen_length": 64, "block_length": 32, **given}))
    return [dict(each.parameters) for each in found]


def by_rule(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    of_each = defaultdict(list)
    for each in found:
        of_each[each["rule"]].append(each)
    return dict(of_each)


def test_several_rules_are_tried_in_one_call_as_each_is_alone() -> None:
    names = ("threshold", "factor", "entropy_budget")
    together = tried(rule=",".join(names))
    assert by_rule(together) == {name: tried(rule=name) for name in names}


def test_every_rule_is_tried_with_what_it_reads_and_its_cache() -> None:
    found = by_rule(tried(rule=",".join(list_rules()), cache="none"))
    assert found.keys() == set(list_rules())
    for name, candidates in found.items():
        parts = (get_rule_info(name), get_policy_info("none"))
        read = OWN | {each.name for part in parts for each in part.parameters}
        assert all(each.keys() <= read for each in candidates)
        ours = (parts[0].distribution or "").startswith("llada-")
        assert len(candidates) > 1 or not ours, f"nothing of {name} is varied"


def test_a_rule_of_a_schedule_is_tried_with_shares_of_the_length() -> None:
    assert [each["steps"] for each in tried(rule="quota")] == [32, 16, 8]


def test_a_value_is_given_to_the_rules_that_read_it() -> None:
    found = by_rule(tried(rule="threshold,factor,entropy_budget", gamma="0.1,0.2", threshold=0.7))
    assert [each["gamma"] for each in found["entropy_budget"]] == [0.1, 0.2]
    assert [each["threshold"] for each in found["threshold"]] == [0.7]
    assert all(each.keys().isdisjoint({"gamma", "threshold"}) for each in found["factor"])


def test_several_caches_are_each_tried_with_all_rules_that_go_with_them() -> None:
    found = tried(rule="threshold,klass", cache="none,dual")
    assert {(each["rule"], each["cache"]) for each in found} == {
        ("threshold", "none"),
        ("threshold", "dual"),
        ("klass", "none"),
    }, "klass refuses dual"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rule": "threshold,treshold"}, "no rule is called 'treshold'; did you mean threshold"),
        ({"rule": "threshold,klass"}, "rule='klass' .* cache='dual': .*; give cache='none'"),
        ({"rule": "threshold", "gamma": "0.1,0.2"}, "is read with rule=entropy_budget only"),
        ({"cache": "dual,duel"}, "no policy is called 'duel'"),
    ],
)
def test_what_goes_with_nothing_that_is_given_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        tried(**given)
