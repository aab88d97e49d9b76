"""The examples are what the documentation says of them, and pass their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import llada_core
from tests.docs.documents import ROOT
from tests.examples.installed import EXAMPLES, distribution_of, package_of, project_of
from tests.test_house import HEAVY, modules_after

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def test_there_are_two() -> None:
    assert [example.name for example in EXAMPLES] == ["llada-entropy", "llada-mymodel"]


@each_example
def test_an_example_has_what_a_wheel_needs(example: Path) -> None:
    project, ours = project_of(example), project_of(ROOT / "packages" / "llada-core")
    assert project["name"] == example.name
    for field in ("version", "requires-python", "license", "authors"):
        assert project[field] == ours[field]
    assert (example / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (example / "README.md").read_text().startswith(f"# {example.name}\n\n")
    assert (package_of(example) / "py.typed").is_file()
    assert f'\n__version__ = "{ours["version"]}"\n' in (package_of(example) / "__init__.py").read_text()


@each_example
def test_an_example_admits_the_packages_of_this_repository(example: Path) -> None:
    for requirement in map(Requirement, project_of(example)["dependencies"]):
        if requirement.name.startswith("llada-"):
            assert str(requirement.specifier) in ("<0.3,>=0.2", ">=0.2,<0.3")
            assert requirement.specifier.contains(llada_core.__version__)


def test_a_decoder_takes_less_than_a_hundred_lines() -> None:
    lines = [
        path.read_text().count("\n") for path in package_of(ROOT / "examples/llada-entropy").glob("*.py")
    ]
    assert sum(lines) < 100


@each_example
def test_the_plugin_of_an_example_is_light(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(example / "src"), os.environ.get("PYTHONPATH", "")])
    )
    (target,) = project_of(example)["entry-points"]["llada.engines"].values()
    assert modules_after(f"import {target}").isdisjoint([*HEAVY, "llada_runtime"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_example
def test_an_example_passes_its_own_tests(example: Path, tmp_path: Path) -> None:
    distribution_of(example, modules=True).install(tmp_path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=example, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
