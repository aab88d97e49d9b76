"""``FakeSite`` and ``FakeDistribution``: what a test installs is found, and nothing of it stays."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import llada_core
from llada_core import testing
from llada_core.testing import FakeDistribution, fake_site

PLUGIN = """
    from llada_core import hookimpl

    @hookimpl
    def llada_engines():
        return []
"""


def test_the_public_names_are_these() -> None:
    assert testing.__all__ == [
        "AlgorithmConformance",
        "ConformanceError",
        "EngineConformance",
        "Failure",
        "FakeDistribution",
        "FakeSite",
        "NotRun",
        "Outcome",
        "Suite",
        "check_algorithm",
        "effect_checks",
        "fake_site",
        "run_checks",
        "suites_of",
    ]


def test_an_engine_of_a_site_is_all_that_is_listed() -> None:
    with fake_site() as site:
        site.add_engine("mine", algorithms={"first": ("one",), "second": ()}, priority=3)
        with site.shared():
            assert llada_core.list_algorithms() == ["first", "second"]
            assert llada_core.list_available_algorithms() == ["first", "second"]
            assert llada_core.get_algorithm("one").name == "first"
            assert llada_core.get_engine("mine").priority == 3
            assert llada_core.get_default_algorithm_for_engine("mine") == "first"


def test_nothing_of_a_site_stays() -> None:
    listed = llada_core.list_engines()
    path, modules = sys.path[:], set(sys.modules)
    with fake_site() as site:
        site.add("llada-mine", plugin=PLUGIN)
        with site.shared():
            assert [status.status for status in llada_core.plugin_statuses()] == ["loaded"]
        assert "llada_mine" in sys.modules
    assert not site.folder.exists()
    assert sys.path == path
    assert set(sys.modules) - modules == set()
    assert llada_core.list_engines() == listed


def test_a_folder_that_is_given_is_made_and_kept(tmp_path: Path) -> None:
    with fake_site(tmp_path / "a" / "site") as site:
        site.add("llada-mine", plugin=PLUGIN)
    assert (tmp_path / "a" / "site" / "llada_mine.py").is_file()


def test_a_module_of_the_same_name_is_out_of_the_way_while_the_site_lasts() -> None:
    import json.tool

    with fake_site() as site:
        site.add("json-of-mine", modules={"json": "tool = 'mine'"})
        assert importlib.import_module("json").tool == "mine"
    assert importlib.import_module("json").tool is json.tool


def test_a_module_that_is_written_again_is_read_again() -> None:
    for number in (1, 2):
        with fake_site() as site:
            site.add("llada-again", modules={"again": f"number = {number}"})
            assert importlib.import_module("again").number == number


@pytest.mark.parametrize("core", [None, "7.1"])
def test_a_site_has_a_core_of_its_own_or_of_another_version(core: str | None) -> None:
    with fake_site(core=core) as site:
        found = site.installed().find("llada-core")
        assert found is not None
        assert found.version == (core or importlib.metadata.version("llada-core"))


def test_the_variables_of_a_registry_are_said_and_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLADA_LOAD_PLUGINS", "")
    with fake_site() as site:
        site.add_engine("mine", algorithms={"echo": ()})
        assert site.registry().engines() == ["mine"]
        assert site.registry(load_plugins=frozenset()).engines() == []


def test_a_wheel_is_what_pip_installs(tmp_path: Path) -> None:
    made = FakeDistribution(
        name="llada-mine",
        version="2.0",
        requires=("llada-core",),
        entry_points={"mine": "package_of_mine.plugin"},
        modules={"package_of_mine.__init__": "", "package_of_mine.plugin": PLUGIN},
    )
    wheel = made.write_wheel(tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path / "by-pip"), str(wheel)], check=True)
    made.install(tmp_path / "by-hand")
    for file in (path for path in (tmp_path / "by-hand").rglob("*") if path.is_file()):
        installed = tmp_path / "by-pip" / file.relative_to(tmp_path / "by-hand")
        assert installed.read_text() == file.read_text()


def test_importing_the_kit_imports_no_torch() -> None:
    program = "import sys, llada_core.testing; assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
