"""Plugins are found, loaded and asked each on its own: one plugin's failure is data, and stays its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llada_core import PluginError, PluginStatus, PluginWarning
from llada_core.registry.registry import Registry

Site = Any

PANIC = "class Panic(BaseException): pass\nraise Panic('index out of bounds')"
INDENTED_PANIC = PANIC.replace("\n", "\n    ")
GUARDED = {
    "raises on import": ("raise RuntimeError('on purpose')", "RuntimeError: on purpose"),
    "lacks a module": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "exits on import": ("raise SystemExit(3)", "SystemExit: 3"),
    "closes a generator that is none": ("raise GeneratorExit", "GeneratorExit"),
    "cancels a task that is none": ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    "skips a test that is none": (
        "import pytest\npytest.importorskip('nowhere')",
        "Skipped: could not import 'nowhere'",
    ),
    "is no Python": ("def", "SyntaxError: invalid syntax"),
    "has no hook": ("x = 1", "it implements no hook; mark its hooks with hookimpl"),
    "misspells a hook": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engine(): return []",
        "unknown hook 'llada_engine'",
    ),
    "wants an argument that the hook has not": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(config): return []",
        "hookimpl definition: llada_engines(config)",
    ),
    "raises in a hook": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(): raise RuntimeError('in a hook')",
        "llada_engines failed: RuntimeError: in a hook",
    ),
    "raises while yielding": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines():\n    yield from ()\n    1 / 0",
        "llada_engines failed: ZeroDivisionError: division by zero",
    ),
    "returns nothing": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(): pass",
        "llada_engines failed: TypeError: it returned None; return a list of specs, or yield them",
    ),
    "returns a number": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(): return 3",
        "llada_engines failed: TypeError: it returned 3; return a list of specs, or yield them",
    ),
    "yields a string": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(): yield 'fast-dllm'",
        "llada_engines yielded 'fast-dllm', which is no EngineSpec",
    ),
    "yields an invalid spec": (
        "from llada_core import AlgorithmSpec, hookimpl\n"
        "@hookimpl\ndef llada_algorithms():\n"
        "    yield AlgorithmSpec(name='', engine='e', target='m:A', summary='')",
        "llada_algorithms failed: InvalidSpec: algorithm '': name '' must consist of",
    ),
    "panics on import": (PANIC, "loading llada_bad failed: Panic: index out of bounds"),
    "panics in a hook": (
        f"from llada_core import hookimpl\n@hookimpl\ndef llada_engines():\n    {INDENTED_PANIC}",
        "llada_engines failed: Panic: index out of bounds",
    ),
    "panics while yielding": (
        "from llada_core import hookimpl\n"
        f"@hookimpl\ndef llada_commands():\n    yield from ()\n    {INDENTED_PANIC}",
        "llada_commands failed: Panic: index out of bounds",
    ),
    "exits in a hook": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_wheels(): exit('no licence')",
        "llada_wheels failed: SystemExit: no licence",
    ),
    "raises a group": (
        "raise BaseExceptionGroup('two', [SystemExit(1), ValueError()])",
        "BaseExceptionGroup: two (2 sub-exceptions)",
    ),
    "raises what cannot be told": (
        "class Mute(BaseException):\n    def __str__(self): raise self\nraise Mute",
        "loading llada_bad failed: Mute; ",
    ),
    "raises one of our errors": (
        "from llada_core import PluginError\nraise PluginError('not so', plugin='x', reason='y')",
        "loading llada_bad failed: PluginError: not so; ",
    ),
    "yields what cannot be shown": (
        "from llada_core import hookimpl\n"
        f"class Shy:\n    def __repr__(self):\n        {INDENTED_PANIC.replace(chr(10), chr(10) + '    ')}\n"
        "@hookimpl\ndef llada_engines(): yield Shy()",
        "llada_engines yielded an object of Shy, whose repr raises Panic: index out of bounds, which is no",
    ),
    "yields what only looks like a spec": (
        "from llada_core import EngineSpec, hookimpl\n"
        "class Posing:\n    __class__ = EngineSpec\n"
        "@hookimpl\ndef llada_engines(): yield Posing()",
        "which is no EngineSpec",
    ),
    "fails in its commands": (
        "from llada_core import hookimpl\n@hookimpl\ndef llada_commands(): return [3]",
        "llada_commands yielded 3, which is no CommandSpec",
    ),
}


def status_of(registry: Registry, distribution: str) -> PluginStatus:
    (status,) = [each for each in registry.statuses() if each.distribution == distribution]
    return status


def test_a_plugin_is_loaded_with_its_distribution_and_version(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    registry = site.registry()
    assert registry.statuses() == [
        PluginStatus(name="good", distribution="llada-good", version="1.0", status="loaded", reason=None)
    ]
    assert (registry.engines(), registry.algorithms()) == (["good"], ["echo"])


@pytest.mark.parametrize(("source", "reason"), GUARDED.values(), ids=GUARDED.keys())
def test_a_failure_is_told_with_the_remedy_and_all_else_works(site: Site, source: str, reason: str) -> None:
    site.add("llada-bad", version="2.1", plugin=source)
    site.add_engine("good", algorithms={"echo": ()})
    registry = site.registry()
    status = status_of(registry, "llada-bad")
    assert (status.name, status.version, status.status) == ("bad", "2.1", "broken")
    assert reason in (status.reason or "")
    assert (status.reason or "").endswith(
        "; upgrade or uninstall llada-bad, or set LLADA_BLOCK_PLUGINS=llada-bad"
    )
    assert status_of(registry, "llada-good").status == "loaded"
    assert registry.algorithms() == ["echo"]


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("llada_fastdllm.parts", "pip install llada-fastdllm"),
        ("llada_bad.gone", "upgrade or uninstall llada-bad"),
    ],
)
def test_a_plugin_that_lacks_a_module_of_another_wheel_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch, missing: str, remedy: str
) -> None:
    monkeypatch.setitem(sys.modules, "llada_fastdllm", None)
    site.add("llada-bad", plugin=f"import {missing}")
    assert (status_of(site.registry(), "llada-bad").reason or "").endswith(
        f"; {remedy}, or set LLADA_BLOCK_PLUGINS=llada-bad"
    )


def test_all_failures_together_are_told_one_by_one_and_all_else_works(site: Site) -> None:
    for number, (source, _) in enumerate(GUARDED.values()):
        site.add(f"llada-bad-{number}", plugin=source)
    for name in ("a-good", "llada-bad-good", "z-good"):
        site.add_engine(name, algorithms={f"echo-of-{name}": ()}, distribution=name)
    registry = site.registry()
    assert registry.engines() == ["a-good", "llada-bad-good", "z-good"]
    assert registry.algorithms(available=True) == registry.algorithms()
    assert len(registry.algorithms()) == 3
    for number, (_, reason) in enumerate(GUARDED.values()):
        status = status_of(registry, f"llada-bad-{number}")
        assert status.status == "broken"
        assert reason.replace("llada_bad", f"llada_bad_{number}") in (status.reason or "")


@pytest.mark.parametrize(("source", "reason"), GUARDED.values(), ids=GUARDED.keys())
def test_strict_raises_the_failure(site: Site, source: str, reason: str) -> None:
    site.add("llada-bad", plugin=source)
    with pytest.raises(PluginError) as raised:
        site.registry(strict_plugins=True)
    assert str(raised.value).startswith("plugin bad of llada-bad: ")
    assert reason in raised.value.reason
    assert (raised.value.plugin, raised.value.dist) == ("bad", "llada-bad")


@pytest.mark.parametrize(
    ("source", "interrupt"),
    [
        ("raise KeyboardInterrupt", KeyboardInterrupt),
        (
            "from llada_core import hookimpl\n@hookimpl\ndef llada_engines(): raise KeyboardInterrupt",
            KeyboardInterrupt,
        ),
    ],
    ids=["in an import", "in a hook"],
)
def test_an_interrupt_is_not_the_plugins_and_passes(
    site: Site, source: str, interrupt: type[BaseException]
) -> None:
    site.add("llada-slow", plugin=source)
    with pytest.raises(interrupt):
        site.registry()


def test_what_a_plugin_gives_beside_a_failure_is_kept(site: Site) -> None:
    site.add_engine("half", algorithms={"echo": ()})
    module = site.folder / "llada_half.py"
    module.write_text(module.read_text() + "\n@hookimpl\ndef llada_commands():\n    return 3\n")
    registry = site.registry()
    assert registry.algorithms() == ["echo"]
    status = status_of(registry, "llada-half")
    assert status.status == "loaded"
    assert "llada_commands failed: TypeError" in (status.reason or "")


def test_a_plugin_may_not_ask_the_registry_while_it_is_imported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llada_core import registry

    monkeypatch.setenv("LLADA_LOAD_PLUGINS", "eager")
    site.add("llada-eager", plugin="import llada_core\nllada_core.list_algorithms()")
    with registry.using(None):
        status = status_of(registry.shared(), "llada-eager")
    assert "plugins are being loaded; ask the registry after the import" in (status.reason or "")


def test_plugins_come_sorted_by_distribution(site: Site) -> None:
    for name in ("llada-c", "Llada-a", "llada_b"):
        site.add(name, plugin="raise RuntimeError")
    assert [status.distribution for status in site.registry().statuses()] == ["Llada-a", "llada_b", "llada-c"]


@pytest.mark.parametrize("name", ["good", "llada-good", "LLADA_good"])
def test_a_plugin_is_blocked_by_its_name_or_its_distributions(site: Site, name: str) -> None:
    site.add("llada-good", plugin="raise RuntimeError('imported')")
    registry = site.registry(block_plugins=frozenset({name.lower().replace("_", "-")}))
    status = status_of(registry, "llada-good")
    assert status.status == "blocked"
    assert status.reason == "LLADA_BLOCK_PLUGINS names it; take it out of the variable to load it"


def test_an_allow_list_lets_nothing_else_in(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-other", plugin="raise RuntimeError('imported')")
    registry = site.registry(load_plugins=frozenset({"good"}))
    assert registry.engines() == ["good"]
    status = status_of(registry, "llada-other")
    assert status.status == "blocked"
    assert status.reason == "LLADA_LOAD_PLUGINS does not name it; add other to the variable to load it"


def test_an_empty_allow_list_lets_nothing_in(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    registry = site.registry(load_plugins=frozenset())
    assert registry.engines() == []
    assert status_of(registry, "llada-good").status == "blocked"


def test_an_allow_list_that_names_what_is_not_installed_says_so(site: Site) -> None:
    with pytest.warns(PluginWarning, match="LLADA_LOAD_PLUGINS names absent"):
        (status,) = site.registry(load_plugins=frozenset({"absent"})).statuses()
    assert (status.name, status.distribution, status.version, status.status) == (
        "absent",
        None,
        None,
        "broken",
    )
    assert status.reason == (
        "LLADA_LOAD_PLUGINS names absent, which is not installed; install it or correct the variable"
    )


def test_a_blocked_plugin_is_no_error_under_strict(site: Site) -> None:
    site.add("llada-bad", plugin="raise RuntimeError")
    registry = site.registry(block_plugins=frozenset({"bad"}), strict_plugins=True)
    assert status_of(registry, "llada-bad").status == "blocked"


@pytest.mark.parametrize("requirement", ["llada-core>=99", "llada_core<0.1", "LLADA.core==2.*"])
def test_a_plugin_for_another_core_is_refused_before_it_is_imported(site: Site, requirement: str) -> None:
    site.add("llada-future", requires=(requirement,), plugin="raise RuntimeError('imported')")
    status = status_of(site.registry(), "llada-future")
    assert status.status == "broken"
    assert "imported" not in (status.reason or "")
    assert (status.reason or "").startswith(f"llada-future needs {requirement}, and 0.1.0 is installed; ")
    assert f"pip install '{requirement}'" in (status.reason or "")


def test_a_plugin_for_an_older_core_is_to_be_upgraded_first(site: Site) -> None:
    site.add("llada-pairs", requires=("llada-core>=0.0.1,<0.1",), plugin="raise RuntimeError('imported')")
    assert (status_of(site.registry(), "llada-pairs").reason or "").endswith(
        "; pip install --upgrade llada-pairs, or, if that is the newest, pip install 'llada-core<0.1,>=0.0.1'"
    )


@pytest.mark.parametrize(
    "requirement",
    ["llada-core", "llada-core>=0.1,<0.2", "llada-core>=99; extra == 'new'", "not a requirement"],
)
def test_a_requirement_that_is_met_or_does_not_apply_is_no_hindrance(site: Site, requirement: str) -> None:
    site.add_engine("good", algorithms={"echo": ()}, requires=(requirement,))
    assert status_of(site.registry(), "llada-good").status == "loaded"


def test_doubled_metadata_is_one_plugin(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-good", version="0.9", entry_points={"good": "llada_good"})
    assert len(site.registry().statuses()) == 1


def test_an_entry_point_that_names_nothing_is_told(site: Site) -> None:
    site.add("llada-bad", entry_points={"bad": "no_such_module.plugin"})
    status = status_of(site.registry(), "llada-bad")
    assert "loading no_such_module.plugin failed: ModuleNotFoundError" in (status.reason or "")


def test_two_entry_points_of_one_name_are_told_and_the_first_is_kept(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    points = site.folder / "llada_good-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "good = llada_good\n")
    registry = site.registry()
    assert registry.algorithms() == ["echo"]
    assert [status.status for status in registry.statuses()] == ["loaded", "broken"]
    assert "llada-good has another entry point of the name good" in (registry.statuses()[1].reason or "")


@pytest.mark.parametrize("typed", ["llada-godo", "goood"])
def test_a_deny_list_that_names_what_is_not_installed_says_so(site: Site, typed: str) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    near = "llada-good" if typed.startswith("llada") else "good"
    reason = (
        f"LLADA_BLOCK_PLUGINS names {typed}, which is not installed; "
        f"did you mean {near}? Correct the variable"
    )
    with pytest.warns(PluginWarning) as warned:
        registry = site.registry(block_plugins=frozenset({typed}))
    assert [str(each.message) for each in warned] == [reason]
    assert [(each.name, each.reason) for each in registry.statuses()] == [("good", None), (typed, reason)]
    assert registry.algorithms() == ["echo"]


def test_strict_raises_a_deny_list_that_names_what_is_not_installed(site: Site) -> None:
    with pytest.raises(PluginError, match="LLADA_BLOCK_PLUGINS names absent, which is not installed"):
        site.registry(block_plugins=frozenset({"absent"}), strict_plugins=True)


def test_a_plugin_that_takes_long_to_load_is_told(site: Site) -> None:
    slow = "import time\nfrom llada_core import hookimpl\n"
    hook = "@hookimpl\ndef llada_engines():\n    {}\n    return []"
    site.add("llada-at-once", plugin=slow + hook.format("pass"))
    site.add("llada-slow-import", plugin=f"{slow}time.sleep(0.51)\n{hook.format('pass')}")
    site.add("llada-slow-hook", plugin=slow + hook.format("time.sleep(0.51)"))
    quick, *others = site.registry().statuses()
    assert (quick.distribution, quick.warnings) == ("llada-at-once", ())
    for status in others:
        assert (status.load_ms or 0) >= 510
        (warning,) = status.warnings
        assert warning.startswith(f"it takes {status.load_ms} ms to load, whenever anything is listed; ")
        assert warning.endswith(f"tell the authors of {status.distribution}")


def test_one_distribution_may_bring_several_plugins(site: Site) -> None:
    site.add_engine("one", algorithms={"echo": ()}, distribution="llada-two")
    points = site.folder / "llada_two-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "bad = no_such_module\n")
    states = {status.name: status.status for status in site.registry().statuses()}
    assert states == {"two": "loaded", "bad": "broken"}


def test_a_status_is_data(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    (told,) = [status.as_dict() for status in site.registry().statuses()]
    assert isinstance(took := told.pop("load_ms"), int)
    assert 0 <= took < 60_000
    assert told == {
        "name": "good",
        "distribution": "llada-good",
        "version": "1.0",
        "status": "loaded",
        "reason": None,
        "warnings": [],
    }
