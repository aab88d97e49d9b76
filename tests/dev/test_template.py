"""What the template makes: complete, clean by the tools that it names, and true to what it stands on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml
from packaging.requirements import Requirement

import llada_core
from llada_dev.new import Project, planned, write
from llada_dev.new.naming import algorithm_named

pytestmark = pytest.mark.alone

FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "lowest.txt",
    "pyproject.toml",
    "tests/test_conformance.py",
    "tests/test_decoder.py",
    "tox.toml",
}
SOURCES = ("__init__.py", "decoder.py", "plugin.py", "py.typed")
LONG = "llada-" + "long" * 8 + "-x"


@pytest.fixture(scope="module", params=["z", "llada-my-decoder", LONG])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    name: str = request.param
    folder = tmp_path_factory.mktemp("projects") / name
    write(planned(name, engine="fast-dllm", algorithm=algorithm_named(name), author="Ada", folder=folder))
    return folder


def test_a_project_has_all_that_it_needs(project: Path) -> None:
    module = project.name.replace("-", "_")
    sources = {f"src/{module}/{name}" for name in SOURCES}
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert written == FILES | sources


def test_a_folder_that_was_made_goes_where_writing_fails(tmp_path: Path) -> None:
    made = planned("sharp", engine="fast-dllm", algorithm="sharp", author="Ada", folder=tmp_path / "sharp")
    lacking = SimpleNamespace(folder=made.folder, facts={"distribution": "sharp"})
    with pytest.raises(ValueError, match="module"):
        write(cast("Project", lacking))
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_template_is_left(project: Path) -> None:
    for path in (path for path in project.rglob("*") if path.is_file()):
        text = path.read_text().replace("${{", "")
        assert not re.search(r"\{\{|\{%|jinja", text), path
        assert text.endswith("\n") or not text
        assert not text.endswith("\n\n")


def test_it_is_clean_by_ruff(project: Path) -> None:
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_is_clean_by_mypy(tmp_path: Path) -> None:
    folder = tmp_path / "sharp"
    write(planned("sharp", engine="fast-dllm", algorithm="sharp", author="Ada", folder=folder))
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_its_ranges_admit_what_is_here(project: Path) -> None:
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    lines = [*told["dependencies"], *told["optional-dependencies"]["test"]]
    for requirement in map(Requirement, lines):
        assert requirement.specifier.contains(metadata.version(requirement.name)), str(requirement)
    lowest = [Requirement(line) for line in (project / "lowest.txt").read_text().splitlines()[1:]]
    assert [each.name for each in lowest] == ["llada-core", "llada-runtime", "llada-fastdllm"]
    ranges = {each.name: each.specifier for each in map(Requirement, lines)}
    for each in lowest:
        (pin,) = each.specifier
        assert str(ranges[each.name]).endswith(f">={pin.version}")


def test_its_pythons_are_those_of_the_registry(project: Path) -> None:
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert told["requires-python"] == metadata.metadata("llada-core")["Requires-Python"]
    tox = tomllib.loads((project / "tox.toml").read_text())
    pythons = [name.partition("-")[0] for name in tox["env_list"] if name.endswith("-lowest")]
    assert f">={pythons[0]}" == told["requires-python"]
    assert tox["env_list"] == [
        "lint",
        *(f"{each}-{core}" for each in pythons for core in ("lowest", "latest")),
    ]
    workflow = (project / ".github" / "workflows" / "ci.yml").read_text()
    assert f"python: {json.dumps(pythons)}" in workflow
    for name in tox["env_list"]:
        lowest = tox["env"].get(name, {}).get("deps") == ["-r lowest.txt"]
        assert lowest == name.endswith("-lowest")


def test_what_publishes_builds_and_runs_nothing(project: Path) -> None:
    jobs = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    rights = {name: job["permissions"] for name, job in jobs.items() if "permissions" in job}
    assert rights == {"publish": {"id-token": "write"}}
    assert not any("run" in step for step in jobs["publish"]["steps"])
    used = [step["uses"].partition("@") for job in jobs.values() for step in job["steps"] if "uses" in step]
    for name, _, at in used:
        assert re.fullmatch("[0-9a-f]{40}", at), name
    names = [name for name, _, _ in used]
    assert names[-2:] == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]


def test_the_licence_is_the_one_of_this_repository(project: Path) -> None:
    ours = metadata.distribution("llada-core").read_text("licenses/LICENSE")
    assert (project / "LICENSE").read_text() == ours


def test_what_it_names_is_registered_by_the_plugin(project: Path) -> None:
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    code = (
        "import sys, importlib; from llada_core.imports import missing_module\n"
        f"sys.path.insert(0, {str(project / 'src')!r})\n"
        f"plugin = importlib.import_module({next(iter(told['entry-points']['llada.engines'].values()))!r})\n"
        "(spec,) = plugin.llada_algorithms()\n"
        "assert missing_module(spec.target) is None and 'torch' not in sys.modules\n"
        "print(spec.name, spec.engine)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [algorithm_named(project.name), "fast-dllm"]
    assert llada_core.get_algorithm_info("basic").engine == "fast-dllm"
