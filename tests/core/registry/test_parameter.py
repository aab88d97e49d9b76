"""``Parameter``: what one parameter accepts, and how it says so."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llada_core import InvalidSpec, Parameter, ParameterError

BLOCK = Parameter(name="block_length", kind=int, minimum=1, maximum=1024, default=32)
THRESHOLD = Parameter(name="threshold", kind=float, minimum=0, maximum=1, nullable=True)
FACTOR = Parameter(name="factor", kind=float, minimum=0, exclusive_minimum=True)
COUNT = Parameter(name="count", kind=int)
FLAG = Parameter(name="flag", kind=bool, default=True)
ORDER = Parameter(name="order", kind=str, choices=("left", "right"), coerce={True: "left", False: "right"})
PATH = Parameter(name="path", kind=str)


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
    assert Parameter(name="n", kind=int, **bounds).expected == words


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "max-tokens", "kind": int}, "parameter 'max-tokens': the name is not an identifier"),
        ({"name": "n", "kind": list}, "kind must be int, float, bool or str"),
        ({"name": "n", "kind": int, "aliases": "m"}, "aliases must be a tuple of strings"),
        (
            {"name": "n", "kind": int, "aliases": ("n",)},
            "the aliases must differ from the name and from each other",
        ),
        ({"name": "n", "kind": int, "default": 0, "minimum": 1}, "the default is not accepted: n=0"),
        ({"name": "n", "kind": int, "minimum": 2, "maximum": 1}, "the minimum 2 is above the maximum 1"),
        ({"name": "n", "kind": int, "choices": ("a",)}, "choices are for strings"),
        ({"name": "n", "kind": str, "minimum": 1}, "a range is for numbers"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_invalid(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Parameter(**fields)


def test_a_parameter_can_be_a_member_of_a_set() -> None:
    assert len({BLOCK, THRESHOLD, ORDER}) == 3
