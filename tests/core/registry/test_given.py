"""What is given of parameters under any of their names, and which defaults give way to it."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import STANDARD
from llada_core.parameters import beside, called, once, value_of, without

DECLARED = tuple(STANDARD[name] for name in ("gen_length", "steps", "threshold", "factor", "temperature"))


def test_a_parameter_is_called_by_any_of_its_names() -> None:
    assert called("max_tokens", DECLARED) is STANDARD["gen_length"]
    assert called("steps", DECLARED) is STANDARD["steps"]
    assert called("colour", DECLARED) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"gen_length": None, "temperature": None}, {}),
        ({"threshold": None, "colour": None}, {"threshold": None, "colour": None}),
        ({"max_tokens": 8, "gen_length": 8}, {"max_tokens": 8}),
        ({"max_tokens": 8, "gen_length": 9}, {"max_tokens": 8, "gen_length": 9}),
        ({"max_tokens": None, "gen_length": 9}, {"gen_length": 9}),
    ],
)
def test_each_is_given_once_and_never_as_a_null_without_meaning(
    given: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert once(given, DECLARED) == kept


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({}, {"max_tokens": 64, "threshold": 0.8}),
        ({"gen_length": 8}, {"threshold": 0.8, "gen_length": 8}),  # the same under another name
        ({"max_new_tokens": 8}, {"threshold": 0.8, "max_new_tokens": 8}),
        ({"steps": 8}, {"max_tokens": 64, "steps": 8}),  # another rule
        ({"denoising_steps": 8}, {"max_tokens": 64, "denoising_steps": 8}),  # under an alias
        ({"confidence_threshold": None}, {"max_tokens": 64, "confidence_threshold": None}),
        ({"colour": 3}, {"max_tokens": 64, "threshold": 0.8, "colour": 3}),
    ],
)
def test_defaults_give_way_to_what_is_given(given: dict[str, Any], held: dict[str, Any]) -> None:
    assert beside(given, {"max_tokens": 64, "threshold": 0.8}, DECLARED) == held


def test_a_default_under_an_alias_gives_way_as_under_its_name() -> None:
    assert beside({"steps": 8}, {"confidence_threshold": 0.8}, DECLARED) == {"steps": 8}


def test_a_value_is_found_and_taken_out_under_any_name() -> None:
    assert value_of("gen_length", {"max_tokens": 8}, DECLARED) == 8
    assert value_of("gen_length", {"steps": 8}, DECLARED) == 128
    assert value_of("colour", {"steps": 8}, DECLARED) is None
    assert without("gen_length", {"max_tokens": 8, "steps": 4}, DECLARED) == {"steps": 4}
    assert without("colour", {"colour": 8, "steps": 4}, DECLARED) == {"steps": 4}
