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
PANICKING = "class Panic(BaseException): pass\nraise Panic('index out of bounds')\n"
LOUD = """
import os, subprocess, sys, warnings
from llada_core import hookimpl

print("hello from an import")
os.write(1, b"hello from below Python\\n")
subprocess.run(["echo", "hello from a child"])
warnings.warn("hello from a warning")

@hookimpl
def llada_engines():
    print("hello from a hook")
    return []

@hookimpl
def llada_detect_engine(config, engines):
    raise KeyError(config["model_type"])
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
    made = make_environment(
        wheels["llada-fastdllm"],
        write_plugin("llada-panicking", PANICKING),
        write_plugin("llada-loud", LOUD),
        write_plugin("a-helper", ENGINE.format(engine="fast-dllm", algorithm="help")),
        write_plugin("llada-lost", NEVER_IMPORTED),
        write_plugin("llada-latin", NEVER_IMPORTED),
        write_plugin("llada-broken", BROKEN),
        write_plugin("llada-nonsense", NONSENSE),
        write_plugin("llada-no-wheel", NO_WHEEL),
        write_plugin("llada-from-the-future", NEVER_IMPORTED, requires=("llada-core>=99",)),
        write_plugin("llada-twin-a", ENGINE.format(engine="twin", algorithm="echo")),
        write_plugin("llada-twin-b", ENGINE.format(engine="twin", algorithm="echo_b")),
    )
    made.metadata_of("llada-lost").unlink()
    made.metadata_of("llada-latin").write_bytes(b"Name: llada-latin\nVersion: 1.0\nAuthor: Ren\xe9\n")
    return made


@pytest.fixture(scope="module")
def plugins(environment: Any) -> dict[str, Any]:
    return {plugin["distribution"]: plugin for plugin in environment.llada_json("plugins")}


def test_each_plugin_is_listed_once(environment: Any, plugins: dict[str, Any]) -> None:
    assert len(plugins) == len(environment.llada_json("plugins")) == 12
    keys = {"name", "distribution", "version", "status", "reason", "load_ms", "warnings"}
    assert all(set(p) == keys for p in plugins.values())


def test_a_plugin_that_raises_is_broken_with_what_it_raised(plugins: dict[str, Any]) -> None:
    assert plugins["llada-broken"]["status"] == "broken"
    assert "broken on purpose" in plugins["llada-broken"]["reason"]


def test_a_plugin_that_panics_is_broken_with_what_it_raised(plugins: dict[str, Any]) -> None:
    assert plugins["llada-panicking"]["status"] == "broken"
    assert "Panic: index out of bounds" in plugins["llada-panicking"]["reason"]


@pytest.mark.parametrize(("name", "told"), [("llada-lost", "is missing"), ("llada-latin", "is not UTF-8")])
def test_a_plugin_whose_metadata_cannot_be_read_is_broken(
    environment: Any, plugins: dict[str, Any], name: str, told: str
) -> None:
    assert plugins[name]["status"] == "broken"
    assert f"{told}; pip install --force-reinstall {name}" in plugins[name]["reason"]
    assert not (environment.folder / "imported").exists()


def test_what_a_plugin_prints_is_on_stderr(environment: Any, plugins: dict[str, Any]) -> None:
    done = environment.llada("plugins", "--json")
    assert len(done.stderr.split("hello from")) - 1 == 5
    assert plugins["llada-loud"]["status"] == "loaded"
    said = "llada_detect_engine failed for an invented model: KeyError: 'unknown'"
    assert said in plugins["llada-loud"]["reason"]


def test_an_engine_stays_with_the_wheel_that_it_belongs_to(environment: Any, plugins: dict[str, Any]) -> None:
    (engine,) = [each for each in environment.llada_json("engines") if each["name"] == "fast-dllm"]
    assert engine["distribution"] == "llada-fastdllm"
    assert "because llada-fastdllm, to which that name belongs, has" in plugins["a-helper"]["reason"]
    given = environment.llada_json("engines", LLADA_BLOCK_PLUGINS="llada-fastdllm")
    assert {"fast-dllm": "a-helper"}.items() <= {each["name"]: each["distribution"] for each in given}.items()


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


def test_a_misspelled_deny_list_is_told_on_stderr(environment: Any) -> None:
    done = environment.llada("algorithms", "--json", LLADA_BLOCK_PLUGINS="llada-brokn")
    assert done.returncode == 0
    assert (
        "warning: LLADA_BLOCK_PLUGINS names llada-brokn, which is not installed; did you mean" in done.stderr
    )


def test_an_empty_allow_list_loads_nothing(environment: Any) -> None:
    assert environment.llada_json("engines", LLADA_LOAD_PLUGINS="") == []


def test_strict_makes_the_first_problem_an_error_of_one_line(environment: Any) -> None:
    done = environment.llada("algorithms", LLADA_STRICT_PLUGINS="1")
    assert done.returncode == 1
    assert "llada-broken" in done.stderr
    assert "Traceback" not in done.stderr
