"""A wheel of somebody else brings rules and policies: what is composed of them, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core import ContractError, ParameterError
from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry import using
from llada_core.registry.registry import Registry
from llada_core.testing import fake_site
from llada_runtime import Threshold, drain
from llada_runtime.testing import FakeNetwork

PLUGIN = """
from llada_core import Parameter, PolicySpec, RuleSpec, hookimpl, standard

WIDTH = Parameter(name="width", kind=int, default=2, minimum=1, summary="So many.")

def rule(name, *parameters):
    return RuleSpec(name=name, target=f"their_parts:{name}", summary="A rule.", parameters=parameters)

@hookimpl
def llada_rules():
    yield rule("few", WIDTH)
    yield rule("own_score")
    yield rule("schedule", standard("steps"))
    yield rule("failing")
    yield rule("number")
    yield rule("absent")

@hookimpl
def llada_policies():
    yield PolicySpec(
        name="sure",
        target="their_parts:sure",
        summary="Both have a threshold.",
        parameters=(standard("threshold", default=0.2),),
    )
"""
PARTS = """
from llada_runtime import BestFirst, DualCache, Quota

class Few(BestFirst):
    @classmethod
    def counts(cls, parameters, ranked, open_counts):
        return open_counts.clamp(max=2)

class Scores(Few):
    def score(self, sequence, logits, tokens):
        return -tokens.double()

class Sure(DualCache):
    def __init__(self, threshold):
        self.threshold = threshold

def few(params):
    return Few()

def own_score(params):
    return Scores()

def schedule(params):
    return Quota(params["steps"])

def failing(params):
    raise SystemExit("on purpose")

def number(params):
    return 7

def sure(params):
    return Sure(params["threshold"])
"""


@pytest.fixture(autouse=True)
def others(tmp_path: Path) -> Iterator[None]:
    """All that is installed, and a wheel besides."""
    with fake_site(tmp_path / "site") as site:
        site.add("other-parts", plugin=PLUGIN)
        site.add("other-code", modules={"their_parts": PARTS})
        with using(Registry(Installed(), Environment())):
            yield


def composed(**params: Any) -> dict[str, Any]:
    given = {"gen_length": 12, "block_length": 4, **params}
    effective: dict[str, Any] = llada_core.get_algorithm("compose").validate_args(**given)
    return effective


def test_a_rule_is_composed_by_its_name() -> None:
    algorithm, network = llada_core.get_algorithm("compose"), FakeNetwork.random()
    row = algorithm.sequence(network, [5, 6], composed(rule="few", cache="frozen", early_stop=False))
    assert [step.error for step in drain(network, [row], rows=1) if step.error] == []
    assert row.nfe == 6


def test_each_part_has_its_own_default_of_a_name_that_both_have() -> None:
    algorithm = llada_core.get_algorithm("compose")
    values = composed(cache="sure", rule="threshold")
    assert algorithm.validate_args(**values) == values
    assert (algorithm.policy(values).threshold, algorithm.rule(values)) == (0.2, Threshold(0.9))
    values = composed(cache="sure", rule="threshold", threshold=0.5)
    assert (algorithm.policy(values).threshold, algorithm.rule(values)) == (0.5, Threshold(0.5))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rule": "own_score", "remasking": "random"}, "the rule ranks positions by a measure of its own"),
        ({"rule": "schedule", "schedule": "adaptive"}, "spread over blocks whose number is known before"),
        ({"rule": "schedule", "start_block_align": True}, "the number of blocks depends on the prompt"),
        ({"rule": "few", "gamma": 1.0}, "gamma=1.0 is read with rule=entropy_budget only"),
        ({"width": 2}, "width=2 is read with rule=few only"),
        ({"rule": "few", "width": 0}, "width=0 is out of range"),
        ({"rule": "fewer"}, "did you mean few"),
        ({"rule": "absent"}, "the rule absent cannot be made here: .*upgrade other-parts"),
    ],
)
def test_what_contradicts_is_refused_whoever_brings_it(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        composed(**given)


def test_smoothing_lowers_no_threshold_of_theirs() -> None:
    if "vicinity" not in llada_core.list_policies():
        pytest.skip("llada-dinfer is not installed")
    with pytest.raises(ParameterError, match="only near_tie, hierarchy and credit have a threshold"):
        composed(rule="few", cache="vicinity", cont_weight=0.3, threshold_decay=0.1)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "failing",
            "the rule failing of other-parts cannot be made: SystemExit: on purpose; upgrade other-parts",
        ),
        ("number", "the rule number of other-parts is 7; let their_parts:number return a Rule"),
    ],
)
def test_a_function_that_fails_is_told_with_whose_it_is(rule: str, told: str) -> None:
    with pytest.raises(ContractError, match=told) as caught:
        composed(rule=rule)
    assert caught.value.algorithm == "compose"
