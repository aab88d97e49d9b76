"""The public functions: names in, facts and fresh objects out."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from llada_core import AlgorithmUnavailable, GenerationAlgorithm, UnknownAlgorithm, UnknownEngine
from llada_core.registry import functions, using

Site = Any


@pytest.fixture
def two_engines(site: Site) -> Iterator[Site]:
    """The engine ``e`` that can run, and ``f`` that needs what is absent."""
    site.add_engine("e", algorithms={"echo": ("say",), "shout": ()}, aliases=("engine-e",), priority=5)
    site.add_engine("f", algorithms={"far": ("away",)}, requires=("absent",))
    with using(site.registry()):
        yield site


def test_names_are_listed_sorted(two_engines: Site) -> None:
    assert llada_core.list_engines() == ["e", "f"]
    assert llada_core.list_algorithms() == ["echo", "far", "shout"]
    assert llada_core.list_available_algorithms() == ["echo", "shout"]


def test_names_are_listed_by_engine_or_its_alias(two_engines: Site) -> None:
    assert llada_core.list_algorithms_by_engine("engine-e") == ["echo", "shout"]
    assert llada_core.list_algorithms_by_engine("f") == ["far"]
    assert llada_core.list_available_algorithms_by_engine("e") == ["echo", "shout"]
    assert llada_core.list_available_algorithms_by_engine("f") == []


def test_available_is_a_subset_and_the_engines_share_out_all(two_engines: Site) -> None:
    assert set(llada_core.list_available_algorithms()) <= set(llada_core.list_algorithms())
    by_engine = [llada_core.list_algorithms_by_engine(engine) for engine in llada_core.list_engines()]
    assert sorted(itertools.chain(*by_engine)) == llada_core.list_algorithms()


def test_each_engine_has_one_default_which_is_its_own(two_engines: Site) -> None:
    for engine in llada_core.list_engines():
        default = llada_core.get_default_algorithm_for_engine(engine)
        infos = map(llada_core.get_algorithm_info, llada_core.list_algorithms_by_engine(engine))
        assert [info.name for info in infos if info.default] == [default]


def test_the_facts_of_an_algorithm(two_engines: Site) -> None:
    info = llada_core.get_algorithm_info("say")
    assert (info.name, info.engine, info.aliases, info.default) == ("echo", "e", ("say",), True)
    assert (info.description, info.distribution, info.streams) == ("An echo.", "llada-e", True)
    assert [parameter.name for parameter in info.parameters] == ["gen_length"]
    told = info.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert {
        "name",
        "engine",
        "aliases",
        "available",
        "reason",
        "default",
        "description",
        "parameters",
    } <= set(told)


def test_the_facts_of_an_engine(two_engines: Site) -> None:
    info = llada_core.get_engine("engine-e")
    assert (info.name, info.default_algorithm, info.algorithms) == ("e", "echo", ("echo", "shout"))
    assert (info.aliases, info.priority, info.distribution) == (("engine-e",), 5, "llada-e")
    told = info.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert {"name", "available", "reason", "default_algorithm", "algorithms", "distribution"} <= set(told)


def test_an_algorithm_is_a_fresh_object_each_time(two_engines: Site) -> None:
    first, second = llada_core.get_algorithm("echo"), llada_core.get_algorithm("echo")
    assert first is not second
    assert isinstance(first, GenerationAlgorithm)


def test_an_algorithm_knows_what_its_spec_says(two_engines: Site) -> None:
    algorithm = llada_core.get_algorithm("say")
    assert (algorithm.name, algorithm.engine, algorithm.aliases) == ("echo", "e", ("say",))
    assert algorithm.is_available()


def test_an_algorithm_that_cannot_run_is_an_object_that_says_why(two_engines: Site) -> None:
    algorithm = llada_core.get_algorithm("away")
    reason = "llada-f needs absent, which is not installed; pip install 'absent'"
    assert (algorithm.name, algorithm.engine) == ("far", "f")
    assert not algorithm.is_available()
    assert algorithm.unavailable_reason == reason
    for work in (
        lambda: algorithm.generate(None, None),  # type: ignore[arg-type]
        lambda: algorithm.load_model_from_hf("anywhere"),
        lambda: algorithm.load_model_class(),
    ):
        with pytest.raises(AlgorithmUnavailable) as raised:
            work()
        assert (raised.value.name, raised.value.reason) == ("far", reason)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('no driver')", "importing parts:Echo failed: OSError: no driver; mend that"),
        (
            "class Echo:\n    def __init__(self): raise OSError('no')",
            "making parts:Echo failed: OSError: no; upgrade llada-e, or tell",
        ),
        ("class Echo: pass", "parts:Echo is not a GenerationAlgorithm; upgrade llada-e, or tell its authors"),
    ],
)
def test_an_algorithm_that_cannot_be_made_is_an_object_that_says_why(
    site: Site, source: str, reason: str
) -> None:
    site.add("llada-parts", modules={"parts": source})
    site.add_engine("e", algorithms={"echo": ()}, target="parts:Echo")
    with using(site.registry()):
        algorithm = llada_core.get_algorithm("echo")
    assert not algorithm.is_available()
    assert reason in (algorithm.unavailable_reason or "")


def test_an_unknown_algorithm_gives_the_closest_names(two_engines: Site) -> None:
    with pytest.raises(UnknownAlgorithm) as raised:
        llada_core.get_algorithm("Shuot")
    assert str(raised.value) == (
        "no algorithm is called 'Shuot'; did you mean shout? `llada algorithms` lists them all"
    )
    assert (raised.value.name, raised.value.candidates) == ("Shuot", ("shout",))


def test_an_unknown_algorithm_gives_the_default_where_there_is_one(two_engines: Site) -> None:
    assert llada_core.get_algorithm("absent", None) is None
    assert llada_core.get_algorithm("absent", default=3) == 3


@pytest.mark.parametrize(
    "ask",
    [
        llada_core.get_algorithm,
        llada_core.get_algorithm_info,
        llada_core.diagnose_algorithm,
    ],
)
@pytest.mark.parametrize("name", ["", "xyzzy", "Echo", None])
def test_every_question_about_an_unknown_algorithm_raises(two_engines: Site, ask: Any, name: Any) -> None:
    with pytest.raises(UnknownAlgorithm):
        ask(name)


@pytest.mark.parametrize(
    "ask",
    [
        llada_core.get_engine,
        llada_core.get_default_algorithm_for_engine,
        llada_core.list_algorithms_by_engine,
        llada_core.list_available_algorithms_by_engine,
        llada_core.load_engine_class,
        llada_core.diagnose_engine,
    ],
)
def test_every_question_about_an_unknown_engine_raises(two_engines: Site, ask: Any) -> None:
    with pytest.raises(UnknownEngine, match=r"no engine is called 'Engine_E'; did you mean engine-e\?"):
        ask("Engine_E")


def test_an_engine_of_a_wheel_that_is_not_installed_says_how_to_get_it(two_engines: Site) -> None:
    with pytest.raises(UnknownEngine, match="the engine dinfer is not installed; pip install llada-dinfer"):
        llada_core.get_engine("dinfer")


def test_without_any_engine_the_answer_is_how_to_get_one(site: Site) -> None:
    with using(site.registry()):
        assert llada_core.list_algorithms() == []
        with pytest.raises(UnknownAlgorithm, match="not installed; pip install llada-fastdllm"):
            llada_core.get_algorithm("dual_cache")


def test_where_no_plugin_brought_an_engine_the_answer_is_where_to_look(site: Site) -> None:
    site.add("llada-bad", plugin="raise RuntimeError")
    with using(site.registry()), pytest.raises(UnknownAlgorithm, match="`llada plugins` tells why"):
        llada_core.get_algorithm("unheard_of")


def test_an_algorithm_of_a_plugin_that_failed_is_told_with_what_became_of_it(site: Site) -> None:
    site.add("llada-fastdllm", plugin="raise RuntimeError('no driver')")
    with (
        using(site.registry()),
        pytest.raises(UnknownAlgorithm, match=r"llada-fastdllm, whose plugin .*no driver"),
    ):
        llada_core.get_algorithm("dual_cache")


def test_a_diagnosis_imports_and_a_listing_does_not(site: Site) -> None:
    site.add("llada-parts", modules={"parts": "raise OSError('no driver')"})
    site.add_engine("e", algorithms={"echo": ()}, target="parts:Echo")
    with using(site.registry()):
        assert llada_core.get_engine("e").reason is None
        assert "no driver" in (llada_core.diagnose_engine("e") or "")
        assert llada_core.diagnose_algorithm("echo") == llada_core.diagnose_engine("e")


def test_the_registry_is_made_once_whoever_asks_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make() -> Any:
        made.append(threading.get_ident())
        return site.registry()

    monkeypatch.setattr(functions, "Registry", make)
    with using(None):
        threads = [threading.Thread(target=llada_core.list_engines) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1


def test_a_reload_sees_what_was_installed_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "Registry", site.registry)
    with using(None):
        assert llada_core.list_engines() == []
        site.add_engine("e", algorithms={"echo": ()})
        assert llada_core.list_engines() == []
        llada_core.reload()
        assert llada_core.list_engines() == ["e"]


def test_another_registry_is_shared_while_the_context_lasts(site: Site) -> None:
    before = functions._shared.registry
    site.add_engine("e", algorithms={"echo": ()})
    with using(site.registry()):
        assert llada_core.list_engines() == ["e"]
    assert functions._shared.registry is before


def test_facts_can_be_members_of_a_set(two_engines: Site) -> None:
    facts = {llada_core.get_algorithm_info(name) for name in ("echo", "say", "shout")}
    assert sorted(info.name for info in facts) == ["echo", "shout"]
    assert len({llada_core.get_engine(name) for name in ("e", "engine-e")}) == 1
