"""``top_p``, ``top_k`` and ``min_p`` on every algorithm of the runtime, whatever it caches and keeps."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_runtime import Sequence, StepAlgorithm, drain
from tests.parity.parity_data import MODELS, golden_model

MODEL = MODELS[0]
SHORT = {"gen_length": 16, "block_length": 8, "early_stop": False}
FILTERED = {"top_p": 0.7, "top_k": 8, "min_p": 0.05}
RULES = ({"threshold": 0.5}, {"steps": 8})


def sampling() -> list[str]:
    """The algorithms that decode this model by steps and draw at a temperature."""
    found = []
    for name in llada_core.list_available_algorithms():
        algorithm = llada_core.get_algorithm(name)
        steps = isinstance(algorithm, StepAlgorithm) and algorithm.yields_steps()
        if steps and algorithm.unfit_reason(golden_model(MODEL)) is None:
            found += [name] if "temperature" in algorithm.get_required_args() else []
    return found


each_algorithm = pytest.mark.parametrize("name", sampling())


def rows_of(name: str, *options: dict[str, Any], apart: bool = True) -> list[Sequence]:
    """A row with each of these parameters; of prompts that differ, unless they are not to."""
    algorithm: Any = llada_core.get_algorithm(name)
    return [
        algorithm.sequence(
            golden_model(MODEL), [5, 6, 7 + at * apart], algorithm.validate_args(**SHORT, **given)
        )
        for at, given in enumerate(options)
    ]


def decoded(rows: list[Sequence]) -> list[tuple[list[int], int]]:
    for step in drain(golden_model(MODEL), rows, rows=32):
        assert step.error is None
    return [(row.canvas, row.nfe) for row in rows]


def decode(name: str, **given: Any) -> tuple[list[int], int]:
    return decoded(rows_of(name, given))[0]


@each_algorithm
def test_an_algorithm_that_draws_takes_the_filters(name: str) -> None:
    effective = llada_core.get_algorithm(name).validate_args(temperature=0.8, **FILTERED)
    assert {key: effective[key] for key in FILTERED} == FILTERED
    declared = {parameter.name for parameter in llada_core.get_algorithm_info(name).parameters}
    assert FILTERED.keys() <= declared


@each_algorithm
@pytest.mark.parametrize(
    ("temperature", "given"), [(0.3, {"top_k": 1}), (1.0, {"top_p": 1e-9}), (8.0, {"min_p": 1.0})], ids=str
)
def test_the_narrowest_filters_decode_as_temperature_0(
    name: str, temperature: float, given: dict[str, Any]
) -> None:
    assert decode(name, temperature=temperature, seed=3, **given) == decode(name)


@each_algorithm
def test_neutral_filters_decode_as_none(name: str) -> None:
    hot = {"temperature": 1.5, "seed": 3}
    neutral = ({}, {"top_p": 1}, {"top_k": 0}, {"top_k": -1}, {"min_p": 0})
    plain, *others = decoded(rows_of(name, *({**hot, **given} for given in neutral), apart=False))
    assert others == [plain] * 4


@each_algorithm
def test_at_temperature_0_filters_change_nothing(name: str) -> None:
    assert decode(name, **FILTERED) == decode(name)


@each_algorithm
@pytest.mark.parametrize("given", [{"top_p": 0.4}, {"top_k": 2}, {"min_p": 0.15}], ids=str)
def test_each_filter_changes_what_is_drawn_and_comes_again_with_the_seed(
    name: str, given: dict[str, Any]
) -> None:
    hot = {"temperature": 4.0, "seed": 3}
    asked = ({**hot, **given}, {**hot, **given}, hot, {**hot, "seed": 4, **given})
    filtered, again, plain, other = decoded(rows_of(name, *asked, apart=False))
    assert filtered == again
    assert filtered != plain
    assert filtered != other


@each_algorithm
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rows_with_filters_beside_rows_without_change_nothing_for_either(
    name: str, rule: dict[str, Any]
) -> None:
    takes = llada_core.get_algorithm(name).get_required_args()
    if not rule.keys() <= takes.keys():
        rule = {}
    if "steps" in rule and "rule" in takes:  # which of the parts reads them
        rule = {**rule, "rule": "quota"}
    hot = {"temperature": 2.0, "seed": 3, **rule}
    options = [rule, hot, {**hot, **FILTERED}, {**hot, "min_p": 0.3}]
    alone = [decoded([row])[0] for row in rows_of(name, *options)]
    assert decoded(rows_of(name, *options)) == alone


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_all_algorithms_and_filters_share_forwards(seed: int) -> None:
    names, hot = sampling(), {"temperature": 1.5, "seed": seed}
    options = [hot, {**hot, **FILTERED}, {"top_p": 0.5}]

    def rows() -> list[Sequence]:
        return [row for name in names for row in rows_of(name, *options)]

    assert decoded(rows()) == [decoded([row])[0] for row in rows()]


@each_algorithm
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"top_p": 0}, "top_p=0 is out of range; give a number above 0 to 1, or none"),
        ({"top_p": 1.01}, "top_p=1.01 is out of range; give a number above 0 to 1, or none"),
        ({"top_k": -2}, "top_k=-2 is out of range; give an integer, -1 or more, or none"),
        ({"top_k": 2.5}, "top_k=2.5 has the wrong type; give an integer, -1 or more, or none"),
        ({"min_p": 2}, "min_p=2 is out of range; give a number from 0 to 1, or none"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_with_the_range(name: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError) as refused:
        llada_core.get_algorithm(name).validate_args(**given)
    assert str(refused.value) == f"{name}: {told}"
