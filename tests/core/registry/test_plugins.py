"""Plugins are found, loaded and asked each on its own: one plugin's failure is data, and stays its own."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import PluginError, PluginStatus
from llada_core.registry.registry import Registry

Site = Any

GUARDED = {
    "raises on import": ("raise RuntimeError('on purpose')", "RuntimeError: on purpose"),
    "lacks a module": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "exits on import": ("raise SystemExit(3)", "SystemExit: 3"),
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
        "llada_engines failed: TypeError: 'int' object is not iterable",
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


@pytest.mark.parametrize(("source", "reason"), GUARDED.values(), ids=GUARDED.keys())
def test_strict_raises_the_failure(site: Site, source: str, reason: str) -> None:
    site.add("llada-bad", plugin=source)
    with pytest.raises(PluginError) as raised:
        site.registry(strict_plugins=True)
    assert str(raised.value).startswith("plugin bad of llada-bad: ")
    assert reason in raised.value.reason
    assert (raised.value.plugin, raised.value.dist) == ("bad", "llada-bad")


def test_an_interrupt_during_an_import_is_not_the_plugins_and_passes(site: Site) -> None:
    site.add("llada-slow", plugin="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
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
    assert status.reason == (
        f"llada-future needs {requirement}, and 0.1.0 is installed; pip install '{requirement}'"
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


def test_metadata_that_cannot_be_read_is_passed_over(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    (site.folder / "empty-1.0.dist-info").mkdir()
    binary = site.folder / "binary-1.0.dist-info"
    binary.mkdir()
    (binary / "entry_points.txt").write_bytes(b"[llada.engines]\n\xff\xfe = x\n")
    (binary / "METADATA").write_bytes(b"\xff\xfe")
    assert [status.name for status in site.registry().statuses()] == ["good"]


def test_malformed_entry_points_are_told(site: Site) -> None:
    info = site.add("llada-bad")
    (info / "entry_points.txt").write_text("[llada.engines]\nno equals sign\n")
    site.add_engine("good", algorithms={"echo": ()})
    registry = site.registry()
    assert status_of(registry, "llada-bad").status == "broken"
    assert status_of(registry, "llada-good").status == "loaded"


def test_an_entry_point_that_names_nothing_is_told(site: Site) -> None:
    site.add("llada-bad", entry_points={"bad": "no_such_module.plugin"})
    status = status_of(site.registry(), "llada-bad")
    assert "loading no_such_module.plugin failed: ModuleNotFoundError" in (status.reason or "")


def test_one_distribution_may_bring_several_plugins(site: Site) -> None:
    site.add_engine("one", algorithms={"echo": ()}, distribution="llada-two")
    points = site.folder / "llada_two-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "bad = no_such_module\n")
    states = {status.name: status.status for status in site.registry().statuses()}
    assert states == {"two": "loaded", "bad": "broken"}


def test_a_status_is_data(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    assert [status.as_dict() for status in site.registry().statuses()] == [
        {"name": "good", "distribution": "llada-good", "version": "1.0", "status": "loaded", "reason": None}
    ]
