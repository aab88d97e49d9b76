"""What holds of every package and of the repository as a whole."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nox.project import load_toml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
HEAVY = ("torch", "transformers", "safetensors", "numpy")
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:work|home|root|opt|Users)/[\w.-]")

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


def project(package: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = load_toml(package / "pyproject.toml")["project"]
    return metadata


def import_name(package: Path) -> str:
    return package.name.replace("-", "_")


def requirements(package: Path) -> list[Requirement]:
    return [Requirement(line) for line in project(package)["dependencies"]]


def constraints() -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonicalize_name(name): version for name, version in pairs}


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout))


@each_package
def test_a_package_has_what_a_wheel_needs(package: Path) -> None:
    source = package / "src" / import_name(package)
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (source / "py.typed").is_file()
    assert (package / "README.md").read_text().startswith(f"# {package.name}\n\n")
    assert [path.name for path in (package / "src").iterdir() if path.name != "__pycache__"] == [source.name]


@each_package
def test_metadata_agrees_between_packages(package: Path) -> None:
    mine, first = project(package), project(PACKAGES[0])
    assert mine["name"] == package.name
    for field in ("version", "requires-python", "license", "authors"):
        assert mine[field] == first[field]


@each_package
def test_a_version_in_the_source_is_that_of_the_metadata(package: Path) -> None:
    source = (package / "src" / import_name(package) / "__init__.py").read_text()
    written = re.findall(r'^__version__ = "(.+)"', source, flags=re.MULTILINE)
    assert set(written) <= {project(package)["version"]}


@each_package
def test_ranges_admit_the_versions_of_this_repository(package: Path) -> None:
    ours = {path.name: project(path)["version"] for path in PACKAGES}
    pinned = {**constraints(), **ours}
    for requirement in requirements(package):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pinned[name])


def test_tools_are_pinned() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    tools = {canonicalize_name(line.partition("#")[0].strip()) for line in lines} - {""}
    assert tools <= set(constraints())


@each_package
def test_importing_a_package_imports_nothing_heavy(package: Path) -> None:
    assert modules_after(f"import {import_name(package)}").isdisjoint(HEAVY)


@each_package
def test_an_entry_point_names_a_light_module(package: Path) -> None:
    for target in project(package).get("entry-points", {}).get("llada.engines", {}).values():
        assert modules_after(f"import {target}").isdisjoint([*HEAVY, "llada_runtime"])


@each_package
def test_the_layers_cover_every_package(package: Path) -> None:
    tools = load_toml(ROOT / "pyproject.toml")["tool"]
    assert import_name(package) in tools["importlinter"]["root_packages"]
    assert import_name(package) in tools["ruff"]["lint"]["isort"]["known-first-party"]


@each_package
def test_every_module_says_what_it_is(package: Path) -> None:
    modules = (package / "src").rglob("*.py")
    silent = [str(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert len(versions) == 1 or versions[1] == project(PACKAGES[0])["version"]


def test_ci_can_be_started() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    named = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights
        named += [f"{path.relative_to(ROOT)}: {found.group()}" for found in MACHINE_PATH.finditer(text)]
    assert named == []
