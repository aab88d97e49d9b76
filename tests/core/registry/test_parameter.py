"""``Parameter``: what one parameter accepts, and how it says so."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llada_core import InvalidSpec, Parameter, ParameterError
from llada_core.parameters import RESERVED

BLOCK = Parameter(name="block_length", kind=int, minimum=1, maximum=1024, default=32)
THRESHOLD = Parameter(name="threshold", kind=float, minimum=0, maximum=1, nullable=True)
FACTOR = Parameter(name="factor", kind=float, default=1.0, minimum=0, exclusive_minimum=True)
COUNT = Parameter(name="count", kind=int, default=1)
FLAG = Parameter(name="flag", kind=bool, default=True)
ORDER = Parameter(
    name="order",
    kind=str,
    default="left",
    choices=("left", "right"),
    coerce={True: "left", False: "right"},
    neutral=("left",),
)
PATH = Parameter(name="path", kind=str, default="")


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        (BLOCK, 1, 1),
        (BLOCK, 1024, 1024),
        (THRESHOLD, 0, 0.0),
        (THRESHOLD, 1.0, 1.0),
        (THRESHOLD, None, None),
        (FACTOR, 1e-9, 1e-9),
        (COUNT, -5, -5),
        (FLAG, False, False),
        (ORDER, "right", "right"),
        (ORDER, True, "left"),
        (ORDER, False, "right"),
        (PATH, "anything", "anything"),
    ],
)
def test_a_value_in_range_is_accepted(parameter: Parameter, value: object, accepted: object) -> None:
    checked = parameter.check(value)
    assert checked == accepted
    assert type(checked) is type(accepted)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (BLOCK, 0, "block_length=0 is out of range; give an integer from 1 to 1024"),
        (BLOCK, 1025, "block_length=1025 is out of range; give an integer from 1 to 1024"),
        (BLOCK, 2.0, "block_length=2.0 has the wrong type; give an integer from 1 to 1024"),
        (BLOCK, True, "block_length=True has the wrong type; give an integer from 1 to 1024"),
        (BLOCK, "8", "block_length='8' has the wrong type; give an integer from 1 to 1024"),
        (BLOCK, None, "block_length=None has the wrong type; give an integer from 1 to 1024"),
        (THRESHOLD, 2, "threshold=2 is out of range; give a number from 0 to 1, or none"),
        (THRESHOLD, True, "threshold=True has the wrong type; give a number from 0 to 1, or none"),
        (THRESHOLD, math.nan, "threshold=nan is out of range; give a number from 0 to 1, or none"),
        (FACTOR, 0, "factor=0 is out of range; give a number above 0"),
        (FACTOR, math.inf, "factor=inf is out of range; give a number above 0"),
        (FLAG, 1, "flag=1 has the wrong type; give true or false"),
        (FLAG, "yes", "flag='yes' has the wrong type; give true or false"),
        (ORDER, "up", "order='up' is not accepted; give one of left, right"),
        (ORDER, 1, "order=1 has the wrong type; give one of left, right"),
        (PATH, 3, "path=3 has the wrong type; give a string"),
    ],
)
def test_a_refusal_names_the_parameter_the_value_and_what_to_give(
    parameter: Parameter, value: object, message: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        parameter.check(value)
    assert str(refused.value) == message
    assert refused.value.parameter == parameter.name


def test_an_integer_too_large_for_a_float_is_out_of_range() -> None:
    with pytest.raises(ParameterError, match="out of range"):
        FACTOR.check(10**400)


def test_a_long_value_is_abbreviated_in_the_message() -> None:
    with pytest.raises(ParameterError) as refused:
        BLOCK.check("x" * 10_000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, "an integer"),
        ({"minimum": 1}, "an integer, 1 or more"),
        ({"maximum": 8}, "an integer, at most 8"),
        ({"minimum": 0, "exclusive_minimum": True}, "an integer above 0"),
        ({"minimum": 0, "maximum": 8, "exclusive_minimum": True}, "an integer above 0 to 8"),
        ({"maximum": 2**64 - 1}, "an integer, at most 18446744073709551615"),
    ],
)
def test_the_range_is_said_in_words(bounds: dict[str, Any], words: str) -> None:
    assert Parameter(name="count", kind=int, default=1, **bounds).expected == words


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "max-tokens", "kind": int}, "parameter 'max-tokens': the name is not an identifier"),
        ({"name": "count", "kind": list}, "kind must be int, float, bool or str"),
        ({"name": "count", "kind": int, "aliases": "m"}, "aliases must be a tuple of strings"),
        (
            {"name": "count", "kind": int, "aliases": ("count",)},
            "the aliases must differ from the name and from each other",
        ),
        ({"name": "count", "kind": int, "default": 0, "minimum": 1}, "the default is not accepted: count=0"),
        ({"name": "count", "kind": int, "minimum": 2, "maximum": 1}, "the minimum 2 is above the maximum 1"),
        ({"name": "count", "kind": int, "choices": ("a",)}, "choices are for strings"),
        ({"name": "count", "kind": str, "minimum": 1}, "a range is for numbers"),
        (
            {"name": "count", "kind": int},
            "the default is None, and None is not accepted; give a default, or n",
        ),
        (
            {"name": "count", "kind": int, "default": 1, "neutral": 1},
            "neutral must be a tuple of values, not 1",
        ),
        ({"name": "count", "kind": int, "default": 1, "neutral": (1.5,)}, "a neutral value is not accepted"),
        ({"name": "count", "kind": int, "default": 1, "neutral": (None,)}, "a neutral value is None, and"),
        ({"name": "count", "kind": int, "default": 1, "examples": (1.5,)}, "an example is not accepted"),
        (
            {"name": "count", "kind": str, "default": "", "examples": "ab"},
            "examples must be a tuple of values",
        ),
    ],
)
def test_a_declaration_that_contradicts_itself_is_invalid(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Parameter(**fields)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_neither_a_name_nor_an_alias(name: str) -> None:
    for names in ({"name": name}, {"name": "mine", "aliases": (name,)}):
        with pytest.raises(InvalidSpec, match=rf"parameter '\w+': {name} is a .*; take another name"):
            Parameter(kind=int, default=1, **names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "frequency_penalty"]
)
def test_decoding_parameters_of_other_apis_stay_usable(name: str) -> None:
    assert Parameter(name=name, kind=int, default=1).name == name


@pytest.mark.parametrize(
    ("value", "neutral"),
    [("left", True), (True, True), ("right", False), (False, False), (1, False), (None, False)],
)
def test_a_neutral_value_may_be_given_in_any_form(value: object, neutral: bool) -> None:
    assert ORDER.is_neutral(value) is neutral


def test_a_parameter_can_be_a_member_of_a_set() -> None:
    assert len({BLOCK, THRESHOLD, ORDER}) == 3
