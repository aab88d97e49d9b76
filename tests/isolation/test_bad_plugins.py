"""Plugins that misbehave, all installed together: each is reported, and everything else works."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("isolation")  # one worker builds the wheels

BROKEN = "raise RuntimeError('broken on purpose')\n"
NEVER_IMPORTED = "open('imported', 'w').close()\n"
NONSENSE = """
from llada_core import hookimpl

@hookimpl
def llada_engines():
    return ["not a spec"]
"""
NO_WHEEL = """
from llada_core import WheelSpec, hookimpl

@hookimpl
def llada_wheels():
    yield WheelSpec(distribution="llada-far", engine="far", summary="A far engine.", model_types="far_model")
"""
ENGINE = """
from llada_core import AlgorithmSpec, EngineSpec, hookimpl

@hookimpl
def llada_engines():
    echo = AlgorithmSpec(name="{algorithm}", engine="{engine}", target="absent:Echo", summary="An echo.")
    return [
        EngineSpec(
            name="{engine}", target="absent:Echo", default_algorithm="{algorithm}", algorithms=(echo,)
        )
    ]
"""


@pytest.fixture(scope="module")
def environment(make_environment: Any, wheels: Any, write_plugin: Any) -> Any:
    return make_environment(
        wheels["llada-fastdllm"],
        write_plugin("llada-broken", BROKEN),
        write_plugin("llada-nonsense", NONSENSE),
        write_plugin("llada-no-wheel", NO_WHEEL),
        write_plugin("llada-from-the-future", NEVER_IMPORTED, requires=("llada-core>=99",)),
        write_plugin("llada-twin-a", ENGINE.format(engine="twin", algorithm="echo")),
        write_plugin("llada-twin-b", ENGINE.format(engine="twin", algorithm="echo_b")),
    )


@pytest.fixture(scope="module")
def plugins(environment: Any) -> dict[str, Any]:
    return {plugin["distribution"]: plugin for plugin in environment.llada_json("plugins")}


def test_each_plugin_is_listed_once(environment: Any, plugins: dict[str, Any]) -> None:
    assert len(plugins) == len(environment.llada_json("plugins")) == 7
    assert all(set(p) == {"name", "distribution", "version", "status", "reason"} for p in plugins.values())


def test_a_plugin_that_raises_is_broken_with_what_it_raised(plugins: dict[str, Any]) -> None:
    assert plugins["llada-broken"]["status"] == "broken"
    assert "broken on purpose" in plugins["llada-broken"]["reason"]


def test_a_plugin_that_returns_something_else_is_broken(plugins: dict[str, Any]) -> None:
    assert plugins["llada-nonsense"]["status"] == "broken"
    assert "EngineSpec" in plugins["llada-nonsense"]["reason"]


def test_a_plugin_with_a_malformed_row_is_broken(plugins: dict[str, Any]) -> None:
    assert plugins["llada-no-wheel"]["status"] == "broken"
    assert "model_types must be a tuple of str, not 'far_model'" in plugins["llada-no-wheel"]["reason"]


def test_a_plugin_for_another_core_is_refused_before_it_is_imported(
    environment: Any, plugins: dict[str, Any]
) -> None:
    assert plugins["llada-from-the-future"]["status"] != "loaded"
    assert "llada-core>=99" in plugins["llada-from-the-future"]["reason"]
    assert not (environment.folder / "imported").exists()


def test_of_two_that_claim_a_name_the_first_stays_and_both_are_named(
    environment: Any, plugins: dict[str, Any]
) -> None:
    (twin,) = [engine for engine in environment.llada_json("engines") if engine["name"] == "twin"]
    assert twin["distribution"] == "llada-twin-a"
    reason = plugins["llada-twin-b"]["reason"]
    assert "twin" in reason
    assert "llada-twin-a" in reason


def test_everything_else_still_works(environment: Any, plugins: dict[str, Any]) -> None:
    assert plugins["llada-fastdllm"]["status"] == "loaded"
    names = {entry["name"] for entry in environment.llada_json("algorithms")}
    assert names == {"basic", "prefix_cache", "dual_cache", "echo"}
    assert environment.llada("doctor").returncode == 0
    assert environment.llada("engines").returncode == 0


def test_a_blocked_plugin_is_not_imported_and_says_who_blocked_it(environment: Any) -> None:
    listed = environment.llada_json("plugins", LLADA_BLOCK_PLUGINS="llada-broken")
    (broken,) = [plugin for plugin in listed if plugin["distribution"] == "llada-broken"]
    assert broken["status"] == "blocked"
    assert "LLADA_BLOCK_PLUGINS" in broken["reason"]


def test_an_empty_allow_list_loads_nothing(environment: Any) -> None:
    assert environment.llada_json("engines", LLADA_LOAD_PLUGINS="") == []


def test_strict_makes_the_first_problem_an_error_of_one_line(environment: Any) -> None:
    done = environment.llada("algorithms", LLADA_STRICT_PLUGINS="1")
    assert done.returncode == 1
    assert "llada-broken" in done.stderr
    assert "Traceback" not in done.stderr
