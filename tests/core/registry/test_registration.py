"""Algorithms registered at run time, without a wheel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from llada_core import (
    AlgorithmSpec,
    AlgorithmUnavailable,
    EngineSpec,
    GenerationAlgorithm,
    InvalidSpec,
    UnknownAlgorithm,
    UnknownEngine,
    UsageError,
    register_algorithm,
    register_engine,
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
def installed(site: Site) -> Iterator[None]:
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
        UsageError, match=rf"the algorithm name {taken} is taken by llada-e; register under another name"
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


def test_an_engine_that_nobody_has_is_refused_with_those_there_are() -> None:
    class Own(Whisper):
        name, aliases, engine = "own", (), "enginee"

    with pytest.raises(UsageError) as refused:
        register_algorithm(Own)
    assert str(refused.value) == (
        "own is for the engine enginee, which nobody has; did you mean engine-e? There are e. Name one of "
        "these, register yours first with register_engine, or leave engine out to make it one of its own"
    )
    assert llada_core.list_algorithms() == ["echo"]


def test_an_algorithm_that_names_no_engine_is_one_of_its_own_name() -> None:
    class Own(Whisper):
        name, aliases, engine = "own", (), ""

    undo = register_algorithm(Own, aliases=["mine"])
    assert llada_core.list_engines() == ["e", "own"]
    assert llada_core.list_algorithms_by_engine("own") == ["own"]
    assert llada_core.get_default_algorithm_for_engine("own") == "own"
    assert llada_core.get_algorithm("mine").engine == "own"
    assert llada_core.load_engine_class("own") is Own
    register_algorithm(Own)  # again: the class that is there already
    undo()
    assert llada_core.list_engines() == ["e", "own"]


def test_an_engine_of_its_own_goes_with_its_algorithm() -> None:
    class Own(Whisper):
        name, aliases, engine = "own", (), ""

    undo = register_algorithm(Own)
    undo()
    assert llada_core.list_engines() == ["e"]
    assert llada_core.list_algorithms() == ["echo"]


def test_an_engine_of_its_own_goes_when_the_class_is_written_again_for_another() -> None:
    def cell(named: str) -> type[GenerationAlgorithm]:
        class Mine(Whisper):
            name, aliases, engine = "mine", (), named

        return Mine

    register_algorithm(cell(""))
    assert llada_core.list_engines() == ["e", "mine"]
    register_algorithm(cell("e"))
    assert llada_core.list_engines() == ["e"]
    assert llada_core.get_algorithm("mine").engine == "e"


def test_another_class_under_a_taken_name_is_refused() -> None:
    class Other(Whisper):
        aliases = ()

    register_algorithm(Whisper)
    with pytest.raises(UsageError, match=r"the algorithm name whisper is taken by tests.*Whisper; register"):
        register_algorithm(Other)
    assert type(llada_core.get_algorithm("whisper")) is Whisper


def test_a_class_that_is_written_again_in_its_place_replaces_it() -> None:
    def cell(volume: int) -> type[GenerationAlgorithm]:
        class Mine(Whisper):
            name, aliases = "mine", ("m",)
            loudness = volume

        return Mine

    register_algorithm(cell(1))
    register_algorithm(cell(2))
    assert llada_core.get_algorithm("m").loudness == 2  # type: ignore[attr-defined]


def test_one_class_under_two_names_does_not_take_an_alias_from_itself() -> None:
    register_algorithm(Whisper, aliases=["quiet"])
    second = Whisper()
    second.name, second.aliases = "second", ()
    with pytest.raises(UsageError, match="the algorithm name quiet is taken by"):
        register_algorithm(second, aliases=["quiet"])
    assert llada_core.get_algorithm("quiet").name == "whisper"


@pytest.mark.parametrize("aliases", ["mine", 3, None])
def test_aliases_are_a_list_of_names(aliases: Any) -> None:
    with pytest.raises(UsageError, match=rf"aliases={aliases!r} is no list of names; give one"):
        register_algorithm(Whisper, aliases=aliases)
    with pytest.raises(InvalidSpec, match="aliases must be a tuple of str"):
        register_algorithm(Whisper, aliases=[3])  # type: ignore[list-item]


def test_a_name_may_be_given_to_init_by_a_class_too() -> None:
    class Named(Whisper):
        name = ""

        def __init__(self) -> None:
            GenerationAlgorithm.__init__(self, name="named", description="Says so.", engine="e")

    register_algorithm(Named)
    info = llada_core.get_algorithm_info("named")
    assert (info.engine, info.description) == ("e", "Says so.")
    assert type(llada_core.get_algorithm("named")) is Named


def test_a_class_whose_objects_cannot_be_made_is_refused() -> None:
    class Needy(Whisper):
        def __init__(self, wish: str) -> None:
            super().__init__()

    with pytest.raises(UsageError, match=r"Needy\(\) failed: TypeError: .*; register an instance"):
        register_algorithm(Needy)


@pytest.mark.parametrize("wrong", ["x", b"x", {"x": 1}, 3])
def test_aliases_that_are_no_list_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="is no list of names; give one, such as"):
        register_algorithm(Whisper, aliases=wrong)
    kind = type("Named", (Whisper,), {"aliases": wrong})
    with pytest.raises(UsageError, match="is no list of names; give one, such as"):
        register_algorithm(kind)


@pytest.mark.parametrize("wrong", [[], {}, 3, b"echo"])
def test_what_is_no_name_is_told(wrong: Any) -> None:
    assert llada_core.get_algorithm(wrong, None) is None
    for ask in (
        llada_core.get_algorithm,
        llada_core.get_algorithm_info,
        llada_core.get_engine,
        llada_core.list_algorithms_by_engine,
        llada_core.get_default_algorithm_for_engine,
    ):
        with pytest.raises(UsageError, match=r"no (algorithm|engine) is called "):
            ask(wrong)


# -- availability that an algorithm tells itself


@pytest.mark.parametrize("said", [False, None, 0])
def test_one_that_says_that_it_cannot_run_is_unavailable_everywhere(said: Any) -> None:
    class Sleeping(Whisper):
        def is_available(self) -> Any:
            return said

    register_algorithm(Sleeping)
    reason = f"Sleeping.is_available() of {__name__} says {said!r}; see there what it needs"
    assert llada_core.get_algorithm_info("whisper").reason == reason
    assert llada_core.list_available_algorithms() == ["echo"]
    assert llada_core.diagnose_algorithm("whisper") == reason
    made = llada_core.get_algorithm("whisper")
    assert (made.is_available(), made.unavailable_reason) == (False, reason)
    with pytest.raises(AlgorithmUnavailable, match="see there what it needs"):
        made.load_model_from_hf("x")


def test_one_that_wakes_up_is_available() -> None:
    awake: list[int] = []

    class Sleeping(Whisper):
        def is_available(self) -> bool:
            return bool(awake)

    register_algorithm(Sleeping)
    assert not llada_core.get_algorithm("whisper").is_available()
    awake.append(1)
    assert llada_core.get_algorithm("whisper").is_available()
    assert llada_core.get_algorithm_info("whisper").available


def test_a_reason_of_its_own_is_told() -> None:
    class Picky(Whisper):
        @property
        def unavailable_reason(self) -> str | None:
            return "there is no microphone; plug one in"

    register_algorithm(Picky)
    assert llada_core.get_algorithm_info("whisper").reason == "there is no microphone; plug one in"


def test_asking_one_that_breaks_is_a_reason() -> None:
    class Broken(Whisper):
        def is_available(self) -> bool:
            raise KeyError("driver")

    register_algorithm(Broken)
    reason = llada_core.get_algorithm_info("whisper").reason
    assert reason
    assert "its is_available failed: KeyError: 'driver'; mend its code, or take another" in reason


def test_an_algorithm_of_a_wheel_is_asked_once_it_is_imported(site: Site) -> None:
    module = (
        "from llada_core import GenerationAlgorithm\n\n\n"
        "class Off(GenerationAlgorithm):\n"
        "    def load_model_class(self):\n        return dict\n"
        "    def generate(self, model, prompt):\n        return prompt, 1\n"
        "    def is_available(self):\n        return False\n"
    )
    site.add("llada-off", modules={"off_plugin": OFF, "off_code": module}, entry_points={"off": "off_plugin"})
    with using(site.registry()):
        assert llada_core.get_algorithm_info("off").available  # nothing has been imported
        assert not llada_core.get_algorithm("off").is_available()
        assert llada_core.get_algorithm_info("off").reason == (
            "Off.is_available() of off_code says False; see there what it needs"
        )


OFF = (
    "from llada_core import AlgorithmSpec, hookimpl\n\n\n@hookimpl\ndef llada_algorithms():\n"
    "    yield AlgorithmSpec(name='off', engine='e', target='off_code:Off', summary='Off.')\n"
)


# -- engines


def engine(**changes: Any) -> EngineSpec:
    algorithm = AlgorithmSpec(
        name="loud", engine="mine", target=f"{__name__}:Loud", summary="Loudly.", aliases=("l",)
    )
    fields = {
        "name": "mine",
        "target": f"{__name__}:Loud",
        "default_algorithm": "loud",
        "algorithms": (algorithm,),
        "aliases": ("my-engine",),
        "model_types": ("whisper",),
    }
    return EngineSpec(**{**fields, **changes})  # type: ignore[arg-type]


class Loud(Whisper):
    """Fills the masks loudly."""

    name, aliases = "", ()


def test_an_engine_is_registered_with_its_algorithms_and_taken_back() -> None:
    undo = register_engine(engine())
    assert llada_core.list_engines() == ["e", "mine"]
    assert llada_core.get_engine("my-engine").algorithms == ("loud",)
    assert type(llada_core.get_algorithm("l")) is Loud
    assert llada_core.load_engine_class("mine") is Loud
    undo()
    undo()
    assert llada_core.list_engines() == ["e"]
    assert llada_core.list_algorithms() == ["echo"]


def test_algorithms_are_registered_on_a_registered_engine_and_cannot_run_without_it() -> None:
    class Louder(Loud):
        name, engine = "louder", "my-engine"

    undo = register_engine(engine())
    register_algorithm(Louder)
    assert llada_core.list_algorithms_by_engine("mine") == ["loud", "louder"]
    assert llada_core.get_algorithm("louder").is_available()
    undo()
    assert llada_core.list_algorithms() == ["echo", "louder"]
    reason = llada_core.get_algorithm("louder").unavailable_reason
    assert reason
    assert "the engine my-engine is not installed" in reason


def test_the_same_engine_again_replaces_and_the_first_undo_leaves_the_second() -> None:
    undo = register_engine(engine())
    register_engine(engine(aliases=("new",)))
    undo()
    assert llada_core.get_engine("new").name == "mine"
    with pytest.raises(UnknownEngine):
        llada_core.get_engine("my-engine")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"aliases": ("e",)}, "the engine name e is taken by llada-e"),
        ({"target": "no_such_module:X"}, "the target no_such_module:X of mine cannot be imported: ModuleNot"),
        ({"target": f"{__name__}:Missing"}, "cannot be imported: AttributeError"),
        (
            {
                "algorithms": (
                    AlgorithmSpec(
                        name="loud", engine="mine", target=f"{__name__}:Loud", summary="", aliases=("say",)
                    ),
                )
            },
            "the algorithm name say is taken by llada-e",
        ),
        (
            {"algorithms": (AlgorithmSpec(name="loud", engine="mine", target="no.such:X", summary=""),)},
            "the target no.such:X of loud cannot be imported",
        ),
    ],
)
def test_an_engine_that_cannot_be_is_refused_whole(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        register_engine(engine(**changes))
    assert (llada_core.list_engines(), llada_core.list_algorithms()) == (["e"], ["echo"])


@pytest.mark.parametrize("thing", [None, "mine", Loud])
def test_what_is_no_spec_is_no_engine(thing: Any) -> None:
    with pytest.raises(UsageError, match="is no EngineSpec; give EngineSpec"):
        register_engine(thing)
