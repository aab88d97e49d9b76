"""The standard parameters, and from a call's values to effective values."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core import (
    SAMPLING,
    STANDARD,
    Parameter,
    ParameterError,
    UsageError,
    parse_assignments,
    resolve,
    standard,
)
from llada_core.parameters import block_count, parameters_of_row, whole_steps

TAKEN = tuple(STANDARD.values())
DEFAULTS = {
    "gen_length": 128,
    "block_length": 32,
    "steps": None,
    "temperature": 0.0,
    "top_p": None,
    "top_k": None,
    "min_p": None,
    "remasking": "low_confidence",
    "threshold": 0.9,
    "factor": None,
    "seed": None,
    "early_stop": True,
}


def effective(**given: object) -> dict[str, object]:
    return resolve(TAKEN, given, algorithm="basic")


def test_the_defaults_are_those_of_the_design() -> None:
    assert effective() == DEFAULTS


def test_the_effective_values_come_in_the_order_of_the_declaration() -> None:
    assert list(effective(seed=1, gen_length=3)) == list(DEFAULTS)


@pytest.mark.parametrize(
    ("alias", "name"), [(alias, p.name) for p in TAKEN for alias in p.aliases], ids=lambda word: word
)
def test_an_alias_sets_its_parameter(alias: str, name: str) -> None:
    assert effective(**{alias: 1})[name] == 1


def test_the_aliases_are_those_of_the_design() -> None:
    assert {p.name: set(p.aliases) for p in TAKEN if p.aliases} == {
        "gen_length": {"max_tokens", "max_completion_tokens", "max_new_tokens"},
        "block_length": {"block_size"},
        "steps": {"denoising_steps"},
        "threshold": {"confidence_threshold"},
    }


def test_no_two_standard_parameters_share_a_name() -> None:
    names = [name for parameter in TAKEN for name in parameter.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("rule", "value"), [("steps", 16), ("denoising_steps", 16), ("factor", 1.0)])
def test_an_explicit_rule_puts_the_default_threshold_aside(rule: str, value: object) -> None:
    assert effective(**{rule: value})["threshold"] is None


@pytest.mark.parametrize("rule", ["steps", "factor"])
def test_a_rule_given_as_none_leaves_the_default_threshold(rule: str) -> None:
    assert effective(**{rule: None})["threshold"] == 0.9


def test_an_explicit_threshold_stands_beside_an_explicit_rule() -> None:
    values = effective(steps=16, threshold=0.95, factor=1.0)
    assert (values["steps"], values["threshold"], values["factor"]) == (16, 0.95, 1.0)


@pytest.mark.parametrize(("given", "name"), [(True, "low_confidence"), (False, "random")])
def test_remasking_may_be_a_bool(given: bool, name: str) -> None:
    assert effective(remasking=given)["remasking"] == name


def test_an_unknown_name_is_refused_with_the_closest_and_all_that_is_taken() -> None:
    with pytest.raises(ParameterError) as refused:
        effective(treshold=0.5)
    assert str(refused.value) == (
        "basic does not take treshold; did you mean threshold? It takes gen_length, block_length, steps, "
        "temperature, top_p, top_k, min_p, remasking, threshold, factor, seed, early_stop"
    )
    assert (refused.value.parameter, refused.value.value) == ("treshold", 0.5)


def test_the_closest_name_may_be_an_alias_spelled_with_hyphens() -> None:
    with pytest.raises(ParameterError, match=r"did you mean max_tokens\?"):
        effective(**{"max-tokens": 5})


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(ParameterError, match=r"^basic does not take zzz; it takes gen_length, "):
        effective(zzz=1)


def test_an_algorithm_without_parameters_says_so() -> None:
    with pytest.raises(ParameterError, match=r"^echo does not take volume; it takes no parameters$"):
        resolve((), {"volume": 1}, algorithm="echo")


NEUTRAL = [
    ("steps", None),
    ("denoising_steps", None),
    ("temperature", 0),
    ("temperature", 0.0),
    ("top_p", None),
    ("top_p", 1),
    ("top_p", 1.0),
    ("top_k", None),
    ("top_k", 0),
    ("top_k", -1),
    ("min_p", None),
    ("min_p", 0),
    ("remasking", True),
    ("remasking", "low_confidence"),
    ("threshold", None),
    ("factor", None),
    ("seed", None),
    ("early_stop", True),
]


@pytest.mark.parametrize(("name", "value"), NEUTRAL, ids=str)
def test_a_standard_parameter_passes_at_a_neutral_value_where_it_is_not_taken(name: str, value: Any) -> None:
    assert resolve((STANDARD["gen_length"],), {name: value, "max_tokens": 3}, algorithm="echo") == {
        "gen_length": 3
    }


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("factor", 1.0, "leave it out, or give factor=none, which asks for nothing"),
        ("remasking", False, "leave it out, or give remasking=low_confidence, which asks for nothing"),
        ("temperature", 0.5, "leave it out, or give temperature=0.0, which asks for nothing"),
        ("top_p", 0.9, "leave it out, or give top_p=none or top_p=1.0, which asks for nothing"),
        ("top_k", 5, "leave it out, or give top_k=none or top_k=0 or top_k=-1, which asks for nothing"),
        ("min_p", 0.1, "leave it out, or give min_p=none or min_p=0.0, which asks for nothing"),
        ("block_size", 32, "leave it out"),
        ("factor", "none", "leave it out, or give factor=none, which asks for nothing"),
    ],
)
def test_another_value_is_refused_with_the_neutral_one(name: str, value: Any, remedy: str) -> None:
    with pytest.raises(ParameterError) as refused:
        resolve((STANDARD["gen_length"],), {name: value}, algorithm="echo")
    assert str(refused.value) == f"echo does not take {name}={value!r}; {remedy}"
    assert refused.value.value == value


@pytest.mark.parametrize(
    ("takers", "told"), [(["a"], "; a takes it"), (["a", "b"], "; a and b take it"), ([], "nothing")]
)
def test_the_refusal_names_who_takes_it(takers: list[str], told: str) -> None:
    with pytest.raises(ParameterError, match=f"{told}$"):
        resolve((), {"factor": 1.0}, algorithm="echo", takers={"factor": takers})


def test_an_algorithm_that_implements_another_value_declares_it_as_the_only_one() -> None:
    chance = standard("remasking", default="random", choices=("random",), coerce={False: "random"})
    assert chance.neutral == ()
    assert resolve((chance,), {"remasking": False}, algorithm="dice") == {"remasking": "random"}
    with pytest.raises(ParameterError, match="remasking=True has the wrong type; give one of random"):
        resolve((chance,), {"remasking": True}, algorithm="dice")


@given(seed=st.integers(-(2**63), 2**64 - 1), row=st.integers(0, 2**10))
def test_every_row_of_every_seed_has_a_seed_of_its_own_that_is_accepted(seed: int, row: int) -> None:
    mine = parameters_of_row({"seed": seed}, row)["seed"]
    assert STANDARD["seed"].accepts(mine)
    assert (mine - seed - row) % 2**64 == 0  # type: ignore[operator]


def test_a_seed_out_of_range_is_left_for_the_check_to_refuse() -> None:
    assert parameters_of_row({"seed": 2**64}, 1) == {"seed": 2**64}


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(STANDARD["gen_length"].names, 2)), ids=lambda pair: "+".join(pair)
)
def test_two_names_of_one_parameter_given_together_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ParameterError) as refused:
        effective(**{pair[0]: 4, pair[1]: 4})
    assert str(refused.value) == f"basic: {pair[0]} and {pair[1]} are one parameter; give only one of them"
    assert refused.value.parameter == "gen_length"


def test_a_refused_value_is_told_with_the_algorithm() -> None:
    with pytest.raises(ParameterError) as refused:
        effective(block_size=0)
    assert str(refused.value) == "basic: block_length=0 is out of range; give an integer from 1 to 1024"


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(ParameterError, match="seed="):
        effective(seed=seed)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"top_p": 0}, "top_p=0 is out of range; give a number above 0 to 1, or none"),
        ({"top_p": 1.5}, "top_p=1.5 is out of range; give a number above 0 to 1, or none"),
        ({"top_k": -2}, "top_k=-2 is out of range; give an integer, -1 or more, or none"),
        ({"top_k": 0.5}, "top_k=0.5 has the wrong type; give an integer, -1 or more, or none"),
        ({"min_p": -0.5}, "min_p=-0.5 is out of range; give a number from 0 to 1, or none"),
        ({"min_p": True}, "min_p=True has the wrong type; give a number from 0 to 1, or none"),
    ],
    ids=str,
)
def test_a_filter_out_of_range_is_refused_with_the_range(given: dict[str, object], told: str) -> None:
    with pytest.raises(ParameterError) as refused:
        effective(**given)
    assert str(refused.value) == f"basic: {told}"


def test_what_says_how_tokens_are_drawn_is_declared_as_one() -> None:
    assert [parameter.name for parameter in SAMPLING] == ["temperature", "top_p", "top_k", "min_p"]
    assert all(STANDARD[parameter.name] is parameter for parameter in SAMPLING)


def test_standard_changes_what_it_is_told_and_nothing_else() -> None:
    changed = standard("threshold", default=None)
    assert changed.default is None
    assert changed.names == STANDARD["threshold"].names


def test_standard_of_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        standard("no_such")


def test_a_default_may_give_way_to_a_parameter_that_is_not_declared() -> None:
    lone = Parameter(name="threshold", kind=float, default=0.9, default_unless=("steps",))
    assert resolve((lone,), {}, algorithm="x") == {"threshold": 0.9}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("n=3", 3),
        ("n=-0.5", -0.5),
        ("n=none", None),
        ("n=None", None),
        ("n=null", None),
        ("n=true", True),
        ("n=False", False),
        ("n=random", "random"),
        ('n="3"', "3"),
        ("n=[1, 2]", [1, 2]),
        ("n=a=b", "a=b"),
        ("n= 3 ", 3),
        ("n=", ""),
    ],
)
def test_an_assignment_is_read_as_json_or_as_text(word: str, value: object) -> None:
    read = parse_assignments([word])["n"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("word", ["threshold", "=3", ""])
def test_a_word_that_is_no_assignment_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"write name=value, such as threshold=0\.9"):
        parse_assignments([word])


def test_a_name_assigned_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="n is given twice; give it once"):
        parse_assignments(["n=1", "n=2"])


@pytest.mark.parametrize(
    ("gen_length", "block_length", "steps", "blocks", "whole"),
    [(128, 32, 128, 4, 128), (100, 32, 10, 4, 12), (5, 8, 1, 1, 1), (20, 8, 20, 3, 21)],
)
def test_steps_are_spread_over_whole_blocks(
    gen_length: int, block_length: int, steps: int, blocks: int, whole: int
) -> None:
    params = {"gen_length": gen_length, "block_length": block_length}
    assert (block_count(params), whole_steps(params, steps)) == (blocks, whole)
