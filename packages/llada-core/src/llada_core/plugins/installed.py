"""The distributions that are installed, read from their metadata. Nothing is imported here.

Metadata in the wild is at times missing, doubled or malformed; what cannot be read counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import importlib_metadata
from packaging.utils import canonicalize_name

__all__ = ["GROUP", "EntryPoints", "Installed", "Package"]

GROUP = "llada.engines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution: ``requires`` are its Requires-Dist lines."""

    name: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoints:
    """What a distribution offers to the group: entry points, or the ``problem`` with its declaration."""

    package: Package
    entry_points: tuple[importlib_metadata.EntryPoint, ...] = ()
    problem: Exception | None = None


class Installed:
    """An index of the distributions on ``path`` (default: ``sys.path``), which remembers what it has read."""

    def __init__(self, path: list[str] | None = None) -> None:
        self._path = path
        self._packages: dict[str, Package | None] = {}

    def find(self, name: str) -> Package | None:
        """The distribution of this name in any spelling, or None."""
        key = canonicalize_name(name)
        if key not in self._packages:
            found = (_package(dist) for dist in self._distributions(name=key))
            self._packages[key] = next((package for package in found if package is not None), None)
        return self._packages[key]

    def plugins(self) -> list[EntryPoints]:
        """The distributions that declare entry points of the group, sorted by name, each once."""
        found: dict[str, EntryPoints] = {}
        for dist in self._distributions():
            package = _package(dist) if _mentions_group(dist) else None
            if package is not None:
                # An editable install beside a regular one: the first on the path is what import finds.
                found.setdefault(canonicalize_name(package.name), _declared(dist, package))
        return [found[name] for name in sorted(found)]

    def _distributions(self, **context: object) -> Iterator[importlib_metadata.Distribution]:
        if self._path is not None:
            context["path"] = self._path
        yield from importlib_metadata.Distribution.discover(**context)


def _package(dist: importlib_metadata.Distribution) -> Package | None:
    try:
        name, version = dist.metadata["Name"], dist.metadata["Version"]
        requires = tuple(dist.requires or ())
    except Exception:  # any reader of malformed metadata may raise anything; it counts as absent
        return None
    return Package(name=name, version=version, requires=requires) if name and version else None


def _mentions_group(dist: importlib_metadata.Distribution) -> bool:
    try:
        return GROUP in (dist.read_text("entry_points.txt") or "")
    except (OSError, UnicodeError):
        return False


def _declared(dist: importlib_metadata.Distribution, package: Package) -> EntryPoints:
    try:
        return EntryPoints(package=package, entry_points=tuple(dist.entry_points.select(group=GROUP)))
    except Exception as exc:  # a malformed entry_points.txt of one distribution is that one's problem
        return EntryPoints(package=package, problem=exc)
