"""What an algorithm takes that is composed of parts: its own parameters, and those of every part once."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from typing import Any

import pytest

import llada_core
from llada_core import AlgorithmSpec, InvalidSpec, Parameter, ParameterError, standard
from llada_core.loading import check_call
from llada_core.parameters import values_of_part, with_parts
from llada_core.registry import using
from llada_core.registry.wheels import published

Site = Any

OWN = (standard("gen_length"), standard("block_length"), standard("temperature"))
LOW = Parameter(
    name="low", kind=float, default=0.4, minimum=0, maximum=1, nullable=True, summary="The least."
)
WIDE = Parameter(name="width", kind=int, default=4, minimum=1, maximum=8, aliases=("broad", "w"))
WIDER = Parameter(name="width", kind=int, default=2, minimum=0, exclusive_minimum=True, aliases=("w", "wd"))


def composed(*parts: tuple[str, tuple[Parameter, ...]]) -> dict[str, Parameter]:
    return {each.name: each for each in with_parts(OWN, parts)}


def test_its_own_stay_and_those_of_the_parts_follow_with_none_for_their_default() -> None:
    found = with_parts(OWN, [("rule low", (LOW,)), ("policy wide", (WIDE,))])
    assert found[:3] == OWN
    assert [(each.name, each.default, each.nullable) for each in found[3:]] == [
        ("low", None, True),
        ("width", None, True),
    ]
    assert found[3].summary == "The least. Of the rule low; none is the part's own default."
    assert found[4].aliases == ("broad", "w")


def test_what_several_parts_have_takes_what_one_of_them_takes() -> None:
    found = composed(("rule a", (WIDE,)), ("policy b", (WIDER,)))["width"]
    assert [found.accepts(value) for value in (0, 1, 8, 9)] == [False, True, True, True]
    assert found.aliases == ("broad", "w", "wd")
    assert found.summary == "Of the rule a and the policy b; none is the part's own default."
    with pytest.raises(ParameterError, match="the rule a: width=9 is out of range"):
        values_of_part((WIDE,), {"width": 9}, part="the rule a")


def test_choices_are_those_of_all_that_have_some() -> None:
    order = Parameter(name="order", kind=str, default="left", choices=("left", "right"))
    other = replace(order, choices=("right", "up"), default="up")
    free = replace(order, choices=())
    assert composed(("rule a", (order,)), ("rule b", (other,)))["order"].choices == ("left", "right", "up")
    assert composed(("rule a", (order,)), ("rule b", (free,)))["order"].choices == ()


def test_of_one_name_its_own_counts() -> None:
    other = Parameter(name="temperature", kind=float, default=3.0, minimum=2)
    nickname = Parameter(name="max_tokens", kind=int, default=3)
    assert with_parts(OWN, [("rule a", (other, nickname))]) == OWN


def test_an_alias_gives_way_to_names_and_to_earlier_aliases() -> None:
    low = replace(LOW, aliases=("width", "max_tokens", "floor"))
    later = Parameter(name="bottom", kind=int, default=1, aliases=("floor", "ground"))
    found = composed(("rule a", (low, later)), ("policy b", (WIDE,)))
    assert (found["low"].aliases, found["bottom"].aliases) == (("floor",), ("ground",))


def any_parameter(source: random.Random, name: str, kind: Any) -> Parameter:
    """A parameter of this name and kind with a random range and random aliases."""
    aliases = tuple(source.sample([f"{letter}{letter}" for letter in string.ascii_lowercase[:12]], 2))
    given: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "aliases": aliases,
        "nullable": source.random() < 0.3,
    }
    if kind is str:
        words = tuple(source.sample(["left", "right", "up", "down"], source.randint(1, 3)))
        return Parameter(**given, default=words[0], choices=words if source.random() < 0.8 else ())
    if kind is bool:
        return Parameter(**given, default=False)
    low = source.choice([None, 0, 1, 2])
    high = source.choice([None, 5, 6])
    return Parameter(
        **given, default=kind(4), minimum=low, maximum=high, exclusive_minimum=source.random() < 0.3
    )


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_part_takes_the_algorithm_takes_and_hands_on(seed: int) -> None:
    source = random.Random(seed)
    kinds = {name: source.choice([int, float, bool, str]) for name in "pqrstu"}
    parts = [
        (
            f"rule {number}",
            tuple(
                any_parameter(source, name, kinds[name])
                for name in source.sample("pqrstu", source.randint(0, 5))
            ),
        )
        for number in range(source.randint(1, 6))
    ]
    taken = with_parts(OWN, parts)
    names = [name for each in taken for name in each.names]
    assert len(set(names)) == len(names)
    assert {each.name for each in taken} == {each.name for _, declared in parts for each in declared} | {
        each.name for each in OWN
    }
    nothing = llada_core.resolve(taken, {}, algorithm="it")
    for part, declared in parts:
        own = values_of_part(declared, nothing, part=part)
        lengths = {name: nothing[name] for name in ("gen_length", "block_length")}
        assert own == lengths | {each.name: each.default for each in declared}
        for each in declared:
            for value in (0, 1, 3, 6, 9, 0.5, "left", "up", True):
                if each.accepts(value):
                    given = llada_core.resolve(taken, {each.name: value}, algorithm="it")
                    assert values_of_part(declared, given, part=part)[each.name] == each.check(value)


PLUGIN = """
from llada_core import AlgorithmSpec, EngineSpec, Parameter, RuleSpec, hookimpl, standard

@hookimpl
def llada_engines():
    both = {"engine": "e", "target": "my_code:Mine", "summary": "", "parameters": (standard("gen_length"),)}
    mine = AlgorithmSpec(name="mine", parts=True, **both)
    plain = AlgorithmSpec(name="plain", **both)
    yield EngineSpec(name="e", target="my_code:Mine", default_algorithm="mine", algorithms=(mine, plain))

@hookimpl
def llada_rules():
    parameter = Parameter(name="width", kind=int, default=4, minimum=1)
    parameters = (parameter, standard("factor"))
    yield RuleSpec(name="wide", target="my_code:wide", summary="Wide.", parameters=parameters)
"""
CODE = """
from llada_core import GenerationAlgorithm, standard

class Mine(GenerationAlgorithm):
    parameters = (standard("gen_length"),)

    def load_model_class(self):
        return dict

    def generate(self, model, prompt, **params):
        return prompt, 0
"""


@pytest.fixture
def mine(site: Site) -> Any:
    site.add("llada-mine", plugin=PLUGIN, modules={"my_code": CODE})
    with using(site.registry(strict_plugins=True)):
        yield llada_core.get_algorithm_info("mine")


def test_the_facts_of_an_algorithm_with_parts_hold_their_parameters(mine: Any) -> None:
    assert [each.name for each in mine.parameters] == ["gen_length", "width", "factor"]
    assert [each.name for each in mine.spec.parameters] == ["gen_length"]
    assert "factor" not in mine.takers
    plain = llada_core.get_algorithm_info("plain")
    assert [each.name for each in plain.parameters] == ["gen_length"]
    assert plain.takers["factor"] == ("mine",)


def test_the_object_takes_what_the_facts_say(mine: Any) -> None:
    made = llada_core.get_algorithm("mine")
    assert made.parameters == mine.parameters
    assert made.validate_args(width=7) == {"gen_length": 128, "width": 7, "factor": None}
    assert made.get_required_args() == {"gen_length": 128, "width": None, "factor": None}
    with pytest.raises(ParameterError, match="width=0 is out of range"):
        made.validate_args(width=0)
    with pytest.raises(ParameterError, match="plain does not take width"):
        llada_core.get_algorithm("plain").validate_args(width=7)


def test_a_parameter_of_a_part_that_is_not_installed_is_told_with_what_to_install(mine: Any) -> None:
    told = (
        "mine does not take low_threshold here: the rule hierarchy reads it, and is not there: llada-dinfer "
        "brings it and is not installed; pip install llada-dinfer"
    )
    given = {"low_threshold": 0.4}
    for call in (
        lambda: llada_core.get_algorithm("mine").validate_args(**given),
        lambda: check_call("mine", given),
    ):
        with pytest.raises(ParameterError) as caught:
            call()
        assert (str(caught.value), caught.value.parameter) == (told, "low_threshold")
    with pytest.raises(ParameterError, match="plain does not take low_threshold; it takes"):
        llada_core.get_algorithm("plain").validate_args(low_threshold=0.4)


@pytest.mark.parametrize(
    "name", [n for parts in published().reads.values() for ns in parts.values() for n in ns]
)
def test_every_parameter_of_a_published_part_is_known_by_its_part_and_wheel(mine: Any, name: str) -> None:
    with pytest.raises(ParameterError, match=r"reads it, and is not there: .*; pip install llada-"):
        llada_core.get_algorithm("mine").validate_args(**{name: 1})


@pytest.mark.parametrize("as_object", [False, True])
def test_one_that_the_program_registers_takes_them_where_it_says_so(mine: Any, as_object: bool) -> None:
    kind = type(llada_core.get_algorithm("plain"))
    own = type("Own", (kind,), {"name": "own", "engine": "e"})
    given = own() if as_object else own
    llada_core.register_algorithm(given)
    assert [each.name for each in llada_core.get_algorithm("own").parameters] == ["gen_length"]
    undo = llada_core.register_algorithm(given, parts=True)
    assert llada_core.get_algorithm("own").parameters == mine.parameters
    assert llada_core.get_algorithm("own").validate_args(width=7)["width"] == 7
    with pytest.raises(
        ParameterError, match=r"own does not take low_threshold here: .*pip install llada-dinf"
    ):
        check_call("own", {"low_threshold": 0.4})
    undo()
    with pytest.raises(InvalidSpec, match="parts must be True or False, not 'rules'"):
        llada_core.register_algorithm(given, parts="rules")  # type: ignore[arg-type]


def test_one_whose_generate_has_no_place_for_them_is_told_so(mine: Any) -> None:
    kind: Any = type(llada_core.get_algorithm("plain"))

    class Narrow(kind):  # type: ignore[misc]
        name, engine = "narrow", "e"

        def generate(self, model: Any, prompt: Any, gen_length: int = 8) -> Any:
            return prompt, 0

    llada_core.register_algorithm(Narrow, parts=True)
    reason = llada_core.get_algorithm("narrow").unavailable_reason
    assert reason is not None
    assert reason.startswith("Narrow.generate takes no width and no factor; name them, add **params, or ")


def test_parts_is_true_or_false() -> None:
    with pytest.raises(InvalidSpec, match="parts must be True or False, not 'rules'"):
        AlgorithmSpec(name="a", engine="e", target="m:A", summary="", parts="rules")  # type: ignore[arg-type]
