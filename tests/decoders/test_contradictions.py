"""What of a composition is refused, and that all else can be composed."""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_decoders.compose import ComposeGeneration
from llada_decoders.declared.refusals import REFUSALS, Choice
from llada_runtime import drain
from llada_runtime.testing import FakeNetwork
from tests.parity.parity_data import needs_engine

pytestmark = pytest.mark.alone

COMPOSE = {"gen_length": 11, "block_length": 4, "seed": 3}
BESIDE: dict[str, dict[str, Any]] = {"guided": {"cfg_scale": 0.5}}


def composed(**params: Any) -> dict[str, Any]:
    effective: dict[str, Any] = llada_core.get_algorithm("compose").validate_args(**{**COMPOSE, **params})
    return effective


def run(params: dict[str, Any]) -> int:
    """How many forwards a row of it takes on a network that changes its mind. It comes to its end."""
    algorithm, network = llada_core.get_algorithm("compose"), FakeNetwork.random()
    row = algorithm.sequence(network, [5, 6, 7], params)
    assert [step.error for step in drain(network, [row], rows=1) if step.error] == []
    assert row.mask_id not in row.canvas
    return int(row.nfe)


def named(name: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Each of the values, where a wheel brings it; of one that is to be given, some value."""
    installed = {"rule": llada_core.list_rules(), "cache": llada_core.list_policies()}.get(name)
    some = {"steps": {"steps": 4, "rule": "credit"}, "threshold_decay": {"threshold_decay": 0.1}}
    found = [{name: value} for value in values if installed is None or value in installed]
    return found if values else [some[name]]


def those(choice: Choice) -> tuple[Any, ...]:
    """The values of a choice; of one of a rule but some, all that go with its policy."""
    rules = llada_core.list_rules() if choice.others else []
    return choice.values + tuple(rule for rule in rules if rule not in {*choice.others, "klass"})


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_two_choices_that_contradict_are_refused_with_the_reason(refusal: Any) -> None:
    pairs = itertools.product(
        named(refusal.one.name, refusal.one.values), named(refusal.other.name, those(refusal.other))
    )
    for one, other in pairs:
        given = {**one, **other}
        if given.get("rule", "quota") not in llada_core.list_rules():
            continue
        if "threshold_decay" in given:
            if "vicinity" not in llada_core.list_policies():
                continue
            given |= {"cache": "vicinity", "cont_weight": 0.3}
        if given.get("rule") == "klass" and "cache" not in given:
            given["cache"] = "none"
        if "horizon" in given and "cache" not in given:
            given["cache"] = "prefix"
        with pytest.raises(ParameterError) as caught:
            composed(**given)
        assert refusal.why in str(caught.value)
        assert caught.value.parameter == refusal.one.name
        ways = remedies(str(caught.value))
        assert ways, f"{caught.value}: no value that runs is named"
        for way in ways:
            composed(**{**given, **way})


def remedies(error: str) -> list[dict[str, Any]]:
    """What the error says to give instead, each way by itself."""
    told = error.rpartition("; ")[2].split(", or ")
    values = [re.fullmatch(r"give (\w+)=(.+)|leave (\w+) out", each) for each in told]
    return [
        {found[1]: ast.literal_eval(found[2])} if found[1] else {found[3]: None} for found in values if found
    ]


def test_a_rule_for_no_default_cache_is_told_the_cache_that_runs() -> None:
    with pytest.raises(ParameterError, match=r"; give cache='none', or give rule='threshold'$"):
        composed(rule="klass")
    with pytest.raises(ParameterError, match=r"computed; give cache='none'$"):
        composed(rule="klass", kl_threshold=0.1)


def combinations() -> list[dict[str, Any]]:
    """Every cache with every horizon, schedule and rule that is installed, in two orders of positions."""
    names = {
        "cache": llada_core.list_policies(),
        "horizon": ["full", "window", "window_far"],
        "schedule": ["fixed", "adaptive"],
        "rule": llada_core.list_rules(),
        "remasking": ["low_confidence", "random"],
    }
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*names.values())]


def refused(params: dict[str, Any]) -> bool:
    return any(each.one.is_made(params) and each.other.is_made(params) for each in REFUSALS)


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_all_that_is_not_refused_comes_to_its_end(every: int) -> None:
    """Of every combination: it is refused by the table, or it decodes."""
    for given in combinations()[::every]:
        if refused(given):
            with pytest.raises(ParameterError, match="does not go with"):
                composed(**given)
        else:
            window = {} if given["horizon"] == "full" else {"window_size": 2}
            assert run(composed(**given, **window)) > 0, given


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"gamma": 0.3}, "gamma=0.3 is read with rule=entropy_budget only; leave it out, or give that"),
        ({"refresh_back": 4}, "refresh_back=4 is read with cache=frozen only"),
        ({"steps": 4}, "steps=4 is read with .*rule=quota.* only"),
        ({"window_size": 4}, "window_size=4 is read with horizon=window or window_far only"),
        ({"delimiter_ids": [3]}, "delimiter_ids='3' is read with schedule=adaptive only"),
        ({"rule": "entropy_budget", "threshold": 0.5}, "threshold=0.5 is read with .*rule=threshold.* only"),
        ({"rule": "quota", "kl_threshold": 0.5}, "kl_threshold=0.5 is read with rule=klass only"),
        ({"rule": "treshold"}, "did you mean threshold"),
        ({"cache": "dula"}, "did you mean dual"),
        ({"rule": "falling", "confidence_alpha": 1.5}, "confidence_alpha=1.5 is out of range"),
        ({"horizon": "near"}, "horizon='near' is not accepted"),
    ],
)
def test_what_nothing_reads_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        composed(**given)


@needs_engine("dinfer")
def test_a_rule_with_a_threshold_and_a_schedule_is_given_one_of_them() -> None:
    with pytest.raises(
        ParameterError, match=r"steps=4 is not read beside threshold=0\.8; give one of the two"
    ):
        composed(rule="credit", threshold=0.8, steps=4)
    values = composed(rule="credit", steps=4)
    assert (values["threshold"], values["steps"]) == (None, 6)
    assert llada_core.get_algorithm("compose").validate_args(**values) == values


def test_effective_values_are_those_of_the_chosen_parts() -> None:
    values = composed()
    assert (values["cache"], values["rule"], values["horizon"], values["schedule"]) == (
        "dual", "threshold", "full", "fixed"
    )  # fmt: skip
    assert (values["threshold"], values["gamma"], values["refresh_back"]) == (0.9, None, None)
    values = composed(cache="frozen_cache", refresh_back=4, rule="quota", steps=4)
    assert (values["cache"], values["refresh_back"], values["steps"], values["threshold"]) == (
        "frozen", 4, 6, None
    )  # fmt: skip
    assert llada_core.get_algorithm("compose").validate_args(**values) == values


def test_one_that_the_registry_has_not_made_has_the_parts_defaults() -> None:
    values = ComposeGeneration().validate_args(rule="entropy_budget")
    assert (values["cache"], values["gamma"]) == ("dual", 0.1)
