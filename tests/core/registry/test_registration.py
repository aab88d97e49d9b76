"""Algorithms registered at run time, without a wheel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from llada_core import (
    GenerationAlgorithm,
    InvalidSpec,
    UnknownAlgorithm,
    UsageError,
    register_algorithm,
    standard,
)
from llada_core.registry import using

Site = Any


class Whisper(GenerationAlgorithm):
    """Fills the masks quietly."""

    name = "whisper"
    engine = "e"
    aliases = ("hush",)
    parameters = (standard("gen_length"),)

    def __init__(self, volume: int = 1) -> None:
        self.volume = volume

    def load_model_class(self) -> Any:
        return dict

    def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: object) -> Any:
        return prompt, 0


@pytest.fixture(autouse=True)
def engine(site: Site) -> Iterator[None]:
    site.add_engine("e", algorithms={"echo": ("say",)}, aliases=("engine-e",))
    with using(site.registry()):
        yield


def test_a_class_is_registered_under_its_name_and_all_aliases() -> None:
    register_algorithm(Whisper, aliases=["quiet"])
    info = llada_core.get_algorithm_info("quiet")
    assert (info.name, info.engine, info.aliases) == ("whisper", "e", ("hush", "quiet"))
    assert (info.description, info.distribution) == ("Fills the masks quietly.", None)
    assert (info.available, info.default, info.streams) == (True, False, False)
    assert llada_core.list_algorithms_by_engine("e") == ["echo", "whisper"]


def test_a_class_is_called_for_each_object() -> None:
    register_algorithm(Whisper)
    first, second = llada_core.get_algorithm("hush"), llada_core.get_algorithm("hush")
    assert first is not second
    assert type(first) is Whisper
    assert (first.name, first.aliases) == ("whisper", ("hush",))


def test_an_instance_is_a_prototype_whose_model_is_not_shared() -> None:
    prototype = Whisper(volume=11)
    prototype.model = object()
    register_algorithm(prototype)
    made = llada_core.get_algorithm("whisper")
    assert isinstance(made, Whisper)
    assert made is not prototype
    assert made.volume == 11
    assert made.model is None
    assert prototype.model is not None


def test_the_undo_removes_the_name_and_the_aliases_and_may_be_called_twice() -> None:
    undo = register_algorithm(Whisper)
    undo()
    undo()
    assert llada_core.list_algorithms() == ["echo"]
    with pytest.raises(UnknownAlgorithm):
        llada_core.get_algorithm("hush")


def test_registering_again_replaces_and_the_first_undo_leaves_the_second() -> None:
    undo = register_algorithm(Whisper, aliases=["old"])
    register_algorithm(Whisper, aliases=["new"])
    undo()
    assert llada_core.get_algorithm_info("new").aliases == ("hush", "new")
    with pytest.raises(UnknownAlgorithm):
        llada_core.get_algorithm("old")


@pytest.mark.parametrize("taken", ["echo", "say"])
def test_a_name_that_is_taken_is_refused_and_nothing_changes(taken: str) -> None:
    with pytest.raises(
        UsageError, match=rf"the name {taken} is taken by llada-e; register under another name"
    ):
        register_algorithm(Whisper, aliases=[taken])
    assert llada_core.list_algorithms() == ["echo"]


@pytest.mark.parametrize("thing", [object(), dict, "whisper", None])
def test_what_is_no_algorithm_is_refused(thing: Any) -> None:
    with pytest.raises(
        UsageError, match="is not a GenerationAlgorithm; register a subclass or an instance of one"
    ):
        register_algorithm(thing)


def test_an_abstract_class_is_refused_with_what_it_lacks() -> None:
    class Half(GenerationAlgorithm):
        name, engine = "half", "e"

    with pytest.raises(UsageError, match="Half is still abstract; implement generate, load_model_class"):
        register_algorithm(Half)


def test_a_class_without_a_name_is_refused() -> None:
    class Nameless(Whisper):
        name = ""

    with pytest.raises(InvalidSpec, match="name '' must consist of"):
        register_algorithm(Nameless)


def test_an_engine_may_be_named_by_its_alias() -> None:
    class Quiet(Whisper):
        name, aliases, engine = "quiet", (), "engine-e"

    register_algorithm(Quiet)
    assert llada_core.get_algorithm("quiet").engine == "e"


def test_an_engine_that_nothing_brings_is_one_for_its_algorithms() -> None:
    class Own(Whisper):
        name, aliases, engine = "own", (), "mine"

    register_algorithm(Own)
    assert llada_core.list_algorithms_by_engine("mine") == ["own"]
    assert llada_core.get_algorithm("own").is_available()
    assert llada_core.list_engines() == ["e"]
