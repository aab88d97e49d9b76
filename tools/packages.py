"""The packages of this repository: what they say of themselves, and who stands on whom."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

__all__ = ["ROOT", "in_order", "needs", "projects"]

ROOT = Path(__file__).parents[1]


def projects() -> dict[str, Mapping[str, Any]]:
    """The ``project`` table of each package, by its name."""
    paths = sorted(ROOT.glob("packages/*/pyproject.toml"))
    return {path.parent.name: tomllib.loads(path.read_text())["project"] for path in paths}


def needs(project: Mapping[str, Any], ours: Iterable[str]) -> set[str]:
    """Which of our packages a package requires, extras left out."""
    return {Requirement(line).name for line in project["dependencies"]} & set(ours)


def in_order(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names, each after those that it requires; of several the first in the alphabet."""
    sorter = TopologicalSorter({name: needs(project, found) for name, project in found.items()})
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order
