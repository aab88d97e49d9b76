"""Specs check themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llada_core import (
    AlgorithmSpec,
    CommandSpec,
    EngineSpec,
    InvalidSpec,
    Parameter,
    StrangerSpec,
    WheelSpec,
    standard,
)

ECHO = AlgorithmSpec(name="echo", engine="e", target="m.n:Echo", summary="An echo.", aliases=("say",))
OTHER = StrangerSpec(patterns=("*my_other*", "MyOther"), kind="another model")


def algorithm(**fields: Any) -> AlgorithmSpec:
    return AlgorithmSpec(
        **{"name": "echo", "engine": "e", "target": "m:Echo", "summary": "An echo.", **fields}
    )


def engine(**fields: Any) -> EngineSpec:
    given = {"name": "e", "target": "m:E", "default_algorithm": "echo", "algorithms": (ECHO,), **fields}
    return EngineSpec(**given)


def wheel(**fields: Any) -> WheelSpec:
    return WheelSpec(**{"distribution": "llada-e", "engine": "e", "summary": "An echo.", **fields})


def test_a_spec_is_a_value() -> None:
    assert engine() == engine()
    assert len({engine(), engine()}) == 1
    with pytest.raises(AttributeError):
        engine().name = "f"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["fast-dllm", "a", "dual_cache", "v2.5", "8bit"])
def test_a_name_is_of_letters_digits_and_three_signs(name: str) -> None:
    assert algorithm(name=name).name == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a:b", "ä", "a\n", None, 3])
def test_another_name_is_invalid(name: Any) -> None:
    with pytest.raises(InvalidSpec, match="must consist of letters, digits"):
        algorithm(name=name)


@pytest.mark.parametrize("target", ["m", "m:", ":a", "m.:a", "m:a b", "m:a()", "", None])
def test_a_target_reads_module_colon_attribute(target: Any) -> None:
    for make in (algorithm, engine):
        with pytest.raises(InvalidSpec, match=r"target .* must read 'module:attr'"):
            make(target=target)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"aliases": "say"}, "aliases must be a tuple of str, not 'say'"),
        ({"aliases": ["say"]}, "aliases must be a tuple of str"),
        ({"aliases": ("echo",)}, "name and aliases must be distinct; repeated: echo"),
        ({"aliases": ("a b",)}, "alias 'a b' must consist of"),
        ({"engine": ""}, "engine '' must consist of"),
        ({"summary": None}, "summary must be a string"),
        ({"parameters": ("steps",)}, "parameters must be a tuple of Parameter"),
        (
            {
                "parameters": (
                    standard("steps"),
                    Parameter(name="count", kind=int, default=1, aliases=("steps",)),
                )
            },
            "parameter names and aliases must be distinct; repeated: steps",
        ),
    ],
)
def test_an_algorithm_that_contradicts_itself_is_invalid(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as invalid:
        algorithm(**fields)
    assert str(invalid.value).startswith("algorithm 'echo': ")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"algorithms": ()}, "default_algorithm 'echo' is not among its algorithms"),
        ({"algorithms": [ECHO]}, "algorithms must be a tuple of AlgorithmSpec"),
        ({"default_algorithm": "say"}, "default_algorithm 'say' is not among its algorithms"),
        ({"name": "f"}, "algorithm 'echo' names engine 'e'; give it this engine, or contribute it through"),
        ({"algorithms": (ECHO, ECHO)}, "must be distinct; repeated: echo, say"),
        ({"requires": "torch"}, "requires must be a tuple of str"),
        ({"requires": ("torch >",)}, "'torch >' in requires is not a requirement"),
        ({"probe": "m"}, "probe 'm' must read 'module:attr'"),
        ({"memory": "m"}, "memory 'm' must read 'module:attr'"),
        ({"memory": len}, "memory .* must read 'module:attr'"),
        ({"model_types": "llada"}, "model_types must be a tuple of str"),
        ({"architectures": (3,)}, "architectures must be a tuple of str"),
        ({"priority": True}, "priority must be an int"),
        ({"priority": "10"}, "priority must be an int"),
        ({"model_types": ("",)}, "model_types .* holds an empty string; leave it out"),
        ({"strangers": ("mine*",)}, "strangers must be a tuple of StrangerSpec"),
    ],
)
def test_an_engine_that_contradicts_itself_is_invalid(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        engine(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distribution": "llada other"}, "distribution 'llada other' must consist of"),
        ({"engine": None}, "engine None must consist of"),
        ({"summary": 3}, "summary must be a string"),
        ({"priority": 1.5}, "priority must be an int"),
        ({"model_types": ["m"]}, "model_types must be a tuple of str"),
        ({"architectures": "M"}, "architectures must be a tuple of str"),
        ({"modules": ("",)}, "modules .* holds an empty string"),
        ({"fields": (3,)}, "fields must be a tuple of str"),
        ({"strangers": [OTHER]}, "strangers must be a tuple of StrangerSpec"),
    ],
)
def test_a_wheel_that_is_malformed_is_invalid(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        wheel(**fields)


@pytest.mark.parametrize("make", [engine, wheel])
def test_what_is_its_own_model_cannot_be_its_stranger(make: Callable[..., Any]) -> None:
    assert make(model_types=("my_model",), strangers=(OTHER,)).strangers == (OTHER,)
    with pytest.raises(
        InvalidSpec, match="'MyOther' is listed as its own, and is another model by its strangers; narrow"
    ):
        make(architectures=("MyOther",), strangers=(OTHER,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patterns": "my*"}, "patterns must be a tuple of str"),
        ({"patterns": ()}, "give both patterns and kind"),
        ({"patterns": ("",)}, "holds an empty string"),
        ({"kind": ""}, "give both patterns and kind"),
        ({"kind": None}, "kind must be a string"),
    ],
)
def test_a_stranger_says_which_and_what(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        StrangerSpec(**{"patterns": ("my*",), "kind": "another model", **fields})


def test_a_stranger_is_known_in_any_case() -> None:
    assert OTHER.includes("My_OTHER_Model")
    assert not OTHER.includes("mine")


def test_a_command_checks_its_name_and_target() -> None:
    assert CommandSpec(name="serve", target="m:serve", summary="Serve.").name == "serve"
    with pytest.raises(InvalidSpec, match="command 'a b': name 'a b' must consist of"):
        CommandSpec(name="a b", target="m:serve", summary="Serve.")
    with pytest.raises(InvalidSpec, match="must read 'module:attr'"):
        CommandSpec(name="serve", target="m", summary="Serve.")
