"""The classes of tests and the plugin of pytest: a test a check, told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

import pytest

from llada_core.testing import AlgorithmConformance, EngineConformance, NotRun, Suite, fake_site
from llada_core.testing.classes import CheckFailed
from llada_runtime.testing import small_llada
from tests.conformance.wrong.facts import Idles, RefusesItsBound
from tests.conformance.wrong.tables import GoodCall

FIVE_LINES = """
from llada_core.testing import AlgorithmConformance

class TestMine(AlgorithmConformance):
    algorithm = "{name}"
"""
PLUGIN = """
from llada_core import AlgorithmSpec, EngineSpec, hookimpl

@hookimpl
def llada_engines():
    from tests.conformance.wrong.tables import WIDTH, Good
    specs = tuple(
        AlgorithmSpec(
            name=name, engine="mine", target=target, summary="", parameters=(*Good.parameters, *more)
        )
        for name, target, more in (
            ("good", "tests.conformance.wrong.tables:Good", ()),
            ("refuses", "tests.conformance.wrong.facts:RefusesItsBound", (WIDTH,)),
        )
    )
    yield EngineSpec(name="mine", target=specs[0].target, default_algorithm="good", algorithms=specs)
"""
# No plugins of pytest but those that are named: they are many, and each takes time to import.
ALONE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def run(folder: Path, *arguments: str) -> str:
    """What pytest prints in ``folder``, beside a site in which an engine is called ``mine``."""
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", ""), *filter(None, sys.path)])
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *arguments]
    env = {**ALONE, "PYTHONPATH": path, "LLADA_LOAD_PLUGINS": "mine"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with fake_site(tmp_path / "site") as site:
        site.add("llada-mine", plugin=PLUGIN)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_five_lines_make_a_test_of_each_check(folder: Path) -> None:
    (folder / "test_mine.py").write_text(FIVE_LINES.format(name="refuses"))
    told = run(folder, "-k", "alias or bound-is-taken or detection")
    assert "PASSED test_mine.py::TestMine::test[each-alias-stands-for-its-parameter]" in told
    assert "FAILED test_mine.py::TestMine::test[each-default-choice-and-bound-is-taken]" in told
    assert "CheckFailed: each default, choice and bound is taken: width=4 is within what is declared" in told
    assert "SKIPPED" in told
    assert "its detection hook survives odd configs: it has none" in told


def test_options_ask_for_the_checks_without_a_class(folder: Path) -> None:
    (folder / "test_other.py").write_text("def test_mine():\n    pass\n")
    plugin = ("-p", "llada_core.testing.plugin")
    told = run(folder, *plugin, "--llada-algorithm", "refuses", "-k", "alias or bound-is-taken")
    assert "llada-check::algorithm refuses::each-alias-stands-for-its-parameter" in told
    assert "FAILED llada-check::algorithm refuses::each-default-choice-and-bound-is-taken" in told
    assert "Traceback" not in told
    assert "test_other" not in told  # -k chooses among them all
    assert "no algorithm, engine or distribution" in run_error(folder, *plugin, "--llada-distribution", "nil")
    assert "name one by --llada-algorithm" in run_error(folder, *plugin, "--llada-parameter", "a=1")


def run_error(folder: Path, *arguments: str) -> str:
    env = {**ALONE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True).stderr


def test_one_check_passes_fails_or_is_skipped() -> None:
    class Mine(AlgorithmConformance):
        algorithm = RefusesItsBound

    assert Mine().test("it-can-run-here") is None  # type: ignore[func-returns-value]
    with pytest.raises(CheckFailed, match="each default, choice and bound is taken: width=4"):
        Mine().test("each-default-choice-and-bound-is-taken")
    Mine.teardown_class()

    class Called(AlgorithmConformance):
        algorithm, model = GoodCall(name="called"), small_llada()

    with pytest.raises(unittest.SkipTest, match="the same seed draws the same answer: it takes no seed"):
        Called().test("the-same-seed-draws-the-same-answer")


def test_what_cannot_be_made_is_one_test_that_fails() -> None:
    class Mine(AlgorithmConformance):
        algorithm = "no_such_algorithm"

    assert list(Mine.checks()) == ["its-checks-can-be-made"]
    with pytest.raises(CheckFailed, match=r"no algorithm is called 'no_such_algorithm'.*; correct the class"):
        Mine().test("its-checks-can-be-made")


def test_parameters_and_model_reach_the_checks() -> None:
    class Mine(AlgorithmConformance):
        algorithm, model, parameters = Idles, small_llada(), {"gen_length": 5, "block_length": 2}

    (suite,) = Mine.suites()
    assert suite.kind == "algorithm"
    Mine().test("it-generates")
    with pytest.raises(
        CheckFailed, match=r"nothing changes with patience \(tried 0.5, .*; use it, leave it out"
    ):
        Mine().test("each-parameter-changes-something-or-is-declared-neutral")


def test_a_class_below_another_one_has_checks_of_its_own() -> None:
    class One(AlgorithmConformance):
        algorithm = GoodCall

    class Two(One):
        algorithm = RefusesItsBound

    bounds = "each-default-choice-and-bound-is-taken"
    One().test(bounds)
    with pytest.raises(CheckFailed, match="width=4"):
        Two().test(bounds)


def test_an_engines_class_has_the_checks_of_engine_and_distribution(folder: Path) -> None:
    class Mine(EngineConformance):
        engine = "mine"

    with fake_site(folder / "site") as site, site.shared():
        checks = Mine.checks()
        assert "its-entry-module-prints-nothing" in checks
        assert "the-engine-loads-its-model" in checks
        assert "it-generates" not in checks
        Mine().test("the-engine-can-run-here")


def test_a_check_that_cannot_be_told_is_no_failure() -> None:
    def missing() -> None:
        raise NotRun("there is no model; give one")

    suite = Suite(kind="engine", subject="mine", checks=(("it runs", missing),))
    assert [each.as_dict() for each in suite.outcomes()] == [
        {"check": "it runs", "status": "not run", "reason": "there is no model; give one"}
    ]


def test_nothing_but_the_plugin_imports_pytest() -> None:
    code = "import sys, llada_core.testing, llada_core.cli.check; print({*sys.modules} & {'pytest', 'torch'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
