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

import llada_core
from llada_core.cli.program import COMMANDS
from llada_core.parameters import STANDARD
from llada_core.registry.wheels import published
from llada_dev.verify.upstream.places import UPSTREAMS

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
FRONT_ENDS = ("llada-dev", "llada-eval", "llada-server")  # plugins that bring commands and no engine
DECODERS = ("llada-decoders",)  # those that bring algorithms for another's engine
HEAVY = ("torch", "transformers", "safetensors", "numpy", "datasets", "lm_eval")
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
def test_the_version_in_the_source_is_that_of_the_metadata(package: Path) -> None:
    source = (package / "src" / import_name(package) / "__init__.py").read_text()
    written = re.findall(r'^__version__ = "(.+)"', source, flags=re.MULTILINE)
    assert written == [project(package)["version"]]


@each_package
def test_classifiers_begin_with_the_first_python_that_is_admitted(package: Path) -> None:
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project(package)["classifiers"]))
    assert versions[0] == project(package)["requires-python"].removeprefix(">=")


@each_package
def test_ranges_between_our_packages_are_of_this_minor_version(package: Path) -> None:
    major, minor, _ = project(package)["version"].split(".")
    ranges = {f">={major}.{minor}", f"<{major}.{int(minor) + 1}"}
    for requirement in requirements(package):
        if requirement.name.startswith("llada-"):
            assert set(str(requirement.specifier).split(",")) == ranges


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
    named = filter(None, (line.partition("#")[0].strip() for line in lines))
    assert {canonicalize_name(Requirement(each).name) for each in named} <= set(constraints())


@each_package
def test_importing_a_package_imports_nothing_heavy(package: Path) -> None:
    assert modules_after(f"import {import_name(package)}").isdisjoint(HEAVY)


def entry_points(package: Path) -> dict[str, str]:
    points: dict[str, str] = project(package).get("entry-points", {}).get("llada.engines", {})
    return points


@each_package
def test_engines_and_front_ends_have_an_entry_point_each(package: Path) -> None:
    is_engine = "llada-runtime" in [requirement.name for requirement in requirements(package)]
    assert len(entry_points(package)) == (is_engine or package.name in FRONT_ENDS)


@pytest.mark.parametrize("target", [each for path in PACKAGES for each in entry_points(path).values()])
def test_an_entry_point_names_a_light_module(target: str) -> None:
    assert modules_after(f"import {target}").isdisjoint([*HEAVY, "llada_runtime"])


@each_package
def test_the_layers_cover_every_package(package: Path) -> None:
    tools = load_toml(ROOT / "pyproject.toml")["tool"]
    layers = load_toml(ROOT / "layers.toml")["tool"]
    assert import_name(package) in tools["importlinter"]["root_packages"]
    assert import_name(package) in layers["importlinter"]["root_packages"]
    assert import_name(package) in tools["ruff"]["lint"]["isort"]["known-first-party"]


@each_package
def test_every_module_says_what_it_is(package: Path) -> None:
    modules = (package / "src").rglob("*.py")
    silent = [str(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def engines() -> list[llada_core.EngineInfo]:
    """The engines of this repository."""
    ours = {package.name for package in PACKAGES}
    found = [llada_core.get_engine(name) for name in llada_core.list_engines()]
    return [engine for engine in found if engine.distribution in ours]


def test_a_function_of_the_program_is_called_as_none_beneath_it_and_as_no_module_of_it() -> None:
    folder = ROOT / "packages" / "llada-core" / "src" / "llada_core"
    program, beneath, modules = dict[str, str](), set[str](), set[str]()
    for path in folder.rglob("*.py"):
        names = {
            each.name
            for each in ast.parse(path.read_text()).body
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")
        }
        if path.parent.name == "cli":
            program |= dict.fromkeys(names - {path.stem}, path.stem)
            modules.add(path.stem)
        elif path.name != "__init__.py":
            beneath |= names
    called_by_users = {"run", *(spec.name for spec in COMMANDS)}
    assert set(program) & (beneath | modules) - called_by_users == set()


def test_every_engine_of_this_repository_has_an_entry_point() -> None:
    declaring = [path.name for path in PACKAGES if "llada.engines" in project(path).get("entry-points", {})]
    assert sorted(engine.distribution or "" for engine in engines()) == sorted(
        {*declaring} - {*FRONT_ENDS, *DECODERS}
    )


def test_no_python_of_core_names_an_engine() -> None:
    """Names of engines and of their distributions, in any case and with any signs between their letters."""
    known = [(each.name, each.distribution or "", *each.aliases) for each in engines()]
    words = {re.sub(r"[-_. ]", "", name.removeprefix("llada-")).lower() for names in known for name in names}
    assert words >= {"fastdllm", "dinfer", "nemotron"}
    core = ROOT / "packages" / "llada-core" / "src"
    named = [
        f"{path.relative_to(core)}:{number}: {line.strip()}"
        for path in sorted(core.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if any(word in re.sub(r"[-_. ]", "", line).lower() for word in words)
    ]
    assert named == []


def test_the_rows_of_known_wheels_say_what_the_engines_say_of_themselves() -> None:
    facts = ("aliases", "priority", "summary", "model_types", "architectures", "strangers")
    rows = {row.engine: row for row in published().rows}
    assert len(rows) == len(published().rows)
    assert sorted(rows) == sorted(engine.name for engine in engines())
    for engine in engines():
        row = rows[engine.name]
        assert row.distribution == engine.distribution
        for fact in facts:
            assert getattr(row, fact) == getattr(engine.spec, fact), f"{engine.name}: {fact}"
        names = [name for each in engine.spec.algorithms for name in (each.name, *each.aliases)]
        assert row.algorithms == tuple(names), engine.name
    assert published().recommended in [row.distribution for row in rows.values()]


def test_the_known_commands_and_distributions_are_those_of_this_repository() -> None:
    assert published().distributions == {package.name for package in PACKAGES}
    ours = {
        spec.name: owner
        for spec in llada_core.list_commands()
        if (owner := llada_core.registry.shared().command_owner(spec.name)) in published().distributions
    }
    assert published().commands == ours


def test_the_known_algorithms_for_anothers_engine_are_those_of_this_repository() -> None:
    brought = [llada_core.get_algorithm_info(name) for name in llada_core.list_algorithms()]
    names = {
        name: info.distribution
        for info in brought
        if info.distribution in DECODERS
        for name in (info.name, *info.aliases)
    }
    assert published().algorithms == names


@pytest.mark.parametrize(
    ("kind", "listed", "info"),
    [
        ("rule", llada_core.list_rules, llada_core.get_rule_info),
        ("policy", llada_core.list_policies, llada_core.get_policy_info),
    ],
)
def test_the_known_rules_and_policies_are_those_of_this_repository(kind: Any, listed: Any, info: Any) -> None:
    found = [part for part in map(info, listed()) if part.distribution in published().distributions]
    names = {name: part.distribution for part in found for name in (part.name, *part.aliases)}
    assert published().parts[kind] == names


def test_the_known_parameters_of_parts_are_those_of_this_repository() -> None:
    standard = {name for each in STANDARD.values() for name in each.names}
    rules = [llada_core.get_rule_info(name) for name in llada_core.list_rules()]
    policies = [llada_core.get_policy_info(name) for name in llada_core.list_policies()]
    for kind, parts in (("rule", rules), ("policy", policies)):
        ours = [part for part in parts if part.distribution in published().distributions]
        read = {
            part.name: {name for each in part.parameters for name in each.names} - standard for part in ours
        }
        known = {name: set(names) for name, names in published().reads[kind].items()}  # type: ignore[index]
        assert known == {name: names for name, names in read.items() if names}


def test_tests_are_packages_and_none_edits_the_path() -> None:
    tests = [path for path in tracked_files() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
    homes = {path.parent for path in tests if path.name.startswith("test_") or path.name == "conftest.py"}
    assert [str(home) for home in homes if not (home / "__init__.py").is_file()] == []
    editing = re.compile(r"^\s*sys\.path\.(insert|append)", flags=re.MULTILINE)
    assert [str(path) for path in tests if editing.search(path.read_text())] == []


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert len(versions) == 1 or versions[1] == project(PACKAGES[0])["version"]


def test_the_submodules_are_the_published_codes_that_are_compared() -> None:
    staged = subprocess.run(
        ["git", "ls-files", "--stage", "3rdparty"], cwd=ROOT, capture_output=True, text=True
    )
    linked = {line.split()[3]: line.split()[1] for line in staged.stdout.splitlines() if "160000" in line}
    assert linked == {f"3rdparty/{each.name}": each.commit for each in UPSTREAMS}
    written = (ROOT / ".gitmodules").read_text()
    for upstream in UPSTREAMS:
        assert f"path = 3rdparty/{upstream.name}\n\turl = {upstream.url}\n" in written


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


@pytest.mark.xdist_group("house")
def test_tests_of_a_group_share_a_worker(request: pytest.FixtureRequest) -> None:
    """A worker tells the group by the test's id, of which pytest and pytest-xdist must have one idea."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("no workers of pytest-xdist that run groups")
    assert request.node.nodeid.endswith("@house"), "take pytest and pytest-xdist as constraints.txt pins them"
