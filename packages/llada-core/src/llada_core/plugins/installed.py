"""The distributions that are installed, read from their metadata. Nothing is imported here.

Metadata in the wild is at times missing, doubled or malformed. What can be told all the same is told: a
folder's name has name and version, and a plugin whose metadata cannot be read is one with a problem.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import importlib_metadata
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from llada_core.faults import fault_of, one_line
from llada_core.plugins.folders import Folder

__all__ = ["GROUP", "EntryPoints", "Installed", "Package"]

GROUP = "llada.engines"
# At the beginning of a line, behind what an editor may have put before the first one.
_SECTION = re.compile(rb"^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*\[\s*llada\.engines\s*\]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution: ``requires`` are its Requires-Dist lines.

    ``problem`` says what is wrong with its metadata, ending with the remedy; name and version are then those
    of the folder's name. ``shadowed`` are copies of it that do not count, as "VERSION in FOLDER".
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    problem: str | None = None
    shadowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoints:
    """What a distribution offers to the group: entry points, or the ``problem`` with it or its metadata."""

    package: Package
    entry_points: tuple[importlib_metadata.EntryPoint, ...] = ()
    problem: str | None = None


class Installed:
    """An index of the distributions on ``path`` (default: ``sys.path``), which remembers what it has read.

    Of several copies of a distribution the first on the path counts, which is what an import finds; of
    several in one folder the newest that can be read.
    """

    def __init__(self, path: list[str] | None = None) -> None:
        self._path = path
        self._packages: dict[str, Package | None] = {}

    def find(self, name: str) -> Package | None:
        """The distribution of this name in any spelling, or None."""
        key = canonicalize_name(name)
        if key not in self._packages:
            copies = _ordered(self._folders(name=key))
            self._packages[key] = _package(copies) if copies else None
        return self._packages[key]

    def plugins(self) -> list[EntryPoints]:
        """The distributions that declare entry points of the group, sorted by name, each once."""
        copies: dict[str, list[Folder]] = {}
        for folder in self._folders():
            copies.setdefault(folder.key, []).append(folder)
        chosen = {key: _ordered(found) for key, found in copies.items() if any(map(_declares, found))}
        return [_offer(chosen[key]) for key in sorted(chosen) if _declares(chosen[key][0])]

    def _folders(self, **context: object) -> Iterator[Folder]:
        """The folders of metadata, in the order of the path."""
        if self._path is not None:
            context["path"] = self._path
        for dist in importlib_metadata.Distribution.discover(**context):
            folder = Folder(dist)
            # pip renames what it takes away to begin with "~"; an interrupted uninstall leaves it behind.
            if not folder.name.startswith("~"):
                yield folder


def _ordered(found: Iterable[Folder]) -> list[Folder]:
    """The copies of one distribution, that which counts first."""
    # A folder may be on the path under two names.
    copies = list({os.path.realpath(copy.place): copy for copy in found}.values())
    if len(copies) < 2:
        return copies
    sites = list(dict.fromkeys(copy.site for copy in copies))
    newest_first = sorted(copies, key=_version, reverse=True)
    return sorted(newest_first, key=lambda copy: (sites.index(copy.site), copy.metadata.problem is not None))


def _version(copy: Folder) -> Version:
    try:
        return Version(copy.metadata.version)
    except InvalidVersion:
        return Version("0")


def _package(copies: list[Folder]) -> Package:
    """The facts of the first of the copies."""
    counts = copies[0].metadata
    shadowed = tuple(f"{copy.metadata.version or 'unknown'} in {copy.site}" for copy in copies[1:])
    return Package(
        name=counts.name,
        version=counts.version or "unknown",
        requires=counts.requires,
        problem=counts.problem,
        shadowed=shadowed,
    )


def _declares(folder: Folder) -> bool:
    """Whether the distribution declares the group, in whatever encoding."""
    data = folder.entry_points_txt.replace(b"\0", b"")  # UTF-16 has them between its letters
    return _SECTION.search(data) is not None


def _offer(copies: list[Folder]) -> EntryPoints:
    package = _package(copies)
    if package.problem is not None:
        return EntryPoints(package=package, problem=package.problem)
    remedy = f"upgrade {package.name}, or tell its authors"
    try:
        declared = tuple(copies[0].dist.entry_points.select(group=GROUP))
    except BaseException as exc:  # any reader of a malformed entry_points.txt may raise anything
        problem = f"its entry points cannot be read: {one_line(fault_of(exc))}; {remedy}"
        return EntryPoints(package=package, problem=problem)
    if not declared:
        problem = f"its entry_points.txt declares the group {GROUP} and no entry point in it; {remedy}"
        return EntryPoints(package=package, problem=problem)
    return EntryPoints(package=package, entry_points=declared)
