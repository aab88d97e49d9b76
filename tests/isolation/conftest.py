"""Environments that differ from the development environment: without torch, and with plugins that misbehave.

Nothing is downloaded: our wheels are built here, the light dependencies are copied from the environment that
runs the tests, and throw-away plugins are written as wheels by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from llada_core.testing import FakeDistribution

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of its own, without pip."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *wheels: Path) -> None:
        """Install wheels as they are: no dependencies, no network."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--no-index", *map(str, wheels)], check=True)

    def borrow(self, name: str) -> None:
        """Copy an installed distribution, and what it requires, from the environment that runs the tests."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        target = self.folder / "lib" / version / "site-packages"
        for dist in _closure(name, {}).values():
            for file in dist.files or ():
                if ".." not in file.parts:
                    (target / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(dist.locate_file(file)), target / file)

    def metadata_of(self, name: str) -> Path:
        """The METADATA file of a wheel that was installed."""
        (found,) = self.folder.glob(f"lib/*/site-packages/{name.replace('-', '_')}-*.dist-info/METADATA")
        return found

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("LLADA_", "PYTHON"))
        }
        variables = {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", **variables}
        return subprocess.run(
            command, env={**clean, **variables}, cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def llada(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.folder / "bin" / "llada"), *arguments, **variables)

    def llada_json(self, *arguments: str, **variables: str) -> Any:
        """What the command prints with ``--json``; it must succeed and leave stderr to warnings."""
        done = self.llada(*arguments, "--json", **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def evaluate(self, code: str, **variables: str) -> Any:
        """The value that ``code`` leaves in ``answer``, which must be JSON."""
        done = self.run(
            str(self.python), "-c", f"import json\n{code}\nprint(json.dumps(answer))", **variables
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def _closure(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The installed distribution of this name and all that it requires without an extra."""
    if name not in found:
        found[name] = distribution(name)
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                _closure(requirement.name, found)
    return found


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of this repository's packages that are code, by name."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    names = ["llada-core", "llada-fastdllm", "llada-runtime"]
    for name in names:
        subprocess.run(build, cwd=ROOT / "packages" / name, check=True, capture_output=True)
    return {name: next(out.glob(f"{name.replace('-', '_')}-*.whl")) for name in names}


@pytest.fixture(scope="session")
def core_requirements() -> tuple[str, ...]:
    return tuple(Requirement(line).name for line in distribution("llada-core").requires or ())


@pytest.fixture(scope="session")
def make_environment(
    tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path], core_requirements: tuple[str, ...]
) -> Any:
    """A function that returns a new environment with llada-core, its dependencies and the given wheels."""

    def make(*more: Path) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("environment"))
        venv.create(environment.folder, symlinks=True)
        for name in core_requirements:
            environment.borrow(name)
        environment.install(wheels["llada-core"], *more)
        return environment

    return make


@pytest.fixture(scope="session")
def write_plugin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that writes a wheel with one module and one entry point, both named after the wheel."""
    folder = tmp_path_factory.mktemp("throw-away")

    def write(name: str, source: str, *, requires: tuple[str, ...] = ("llada-core",)) -> Path:
        module = name.replace("-", "_")
        points, modules = {name: module}, {module: source}
        made = FakeDistribution(name=name, requires=requires, entry_points=points, modules=modules)
        return made.write_wheel(folder)

    return write
