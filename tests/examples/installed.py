"""The examples as installed distributions, from their sources: what a build of them would put there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nox.project import load_toml

from llada_core.testing import FakeDistribution
from tests.docs.documents import ROOT

__all__ = ["EXAMPLES", "distribution_of", "package_of", "project_of"]

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))


def project_of(example: Path) -> dict[str, Any]:
    """The metadata of a distribution of this repository, whose folder this is."""
    metadata: dict[str, Any] = load_toml(example / "pyproject.toml")["project"]
    return metadata


def package_of(example: Path) -> Path:
    """The import package in its folder."""
    return example / "src" / example.name.replace("-", "_")


def distribution_of(folder: Path, *, modules: bool) -> FakeDistribution:
    """The distribution whose sources are in ``folder``; without ``modules`` its metadata alone, for one whose
    modules are importable already."""
    project = project_of(folder)
    sources = sorted(package_of(folder).rglob("*.py")) if modules else []
    return FakeDistribution(
        name=project["name"],
        version=project["version"],
        requires=tuple(project["dependencies"]),
        entry_points=project.get("entry-points", {}).get("llada.engines", {}),
        modules={
            ".".join(path.relative_to(folder / "src").with_suffix("").parts): path.read_text()
            for path in sources
        },
    )
