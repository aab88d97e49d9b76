"""One folder of metadata, ``dist-info`` or ``egg-info``: what it says, and what its own name says where it is
damaged."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import importlib_metadata
from packaging.utils import canonicalize_name

from llada_core.faults import fault_of, one_line

__all__ = ["Folder", "Metadata"]

_STEM = re.compile(r"(?P<name>[^-]+)(-(?P<version>.+?))?(-py[\d.]+)?(\.dist-info|\.egg-info|\.egg)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """``problem`` says why it cannot be used; name and version are then those of the folder, "" where that
    has none."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    problem: str | None = None


class Folder:
    """The metadata of one copy of a distribution; its files are read when they are first asked for.

    ``place`` is the folder, and ``site`` the one that it stands in.
    """

    def __init__(self, dist: importlib_metadata.Distribution) -> None:
        self.dist = dist
        self._path: Any = getattr(dist, "_path", None)  # a Path, also in a zip; foreign finders have none
        self.place = str(self._path).rstrip("/") if self._path is not None else repr(dist)
        self.site, stem = os.path.split(self.place)
        if stem.upper() == "EGG-INFO":
            self.site, stem = os.path.split(self.site)
        self._named = _STEM.fullmatch(stem)

    @property
    def name(self) -> str:
        """The distribution's name as the folder spells it, or as the metadata do where that has none."""
        return self._named["name"] if self._named else self.metadata.name

    @property
    def key(self) -> str:
        """The name in the one spelling that all of its spellings share."""
        return canonicalize_name(self.name)

    @cached_property
    def metadata(self) -> Metadata:
        """What METADATA or PKG-INFO says, or what is wrong with it."""
        try:
            message = self.dist.metadata
            name, version = message.get("Name"), message.get("Version")
            requires = tuple(self.dist.requires or ())
        except BaseException as exc:  # any reader of malformed metadata may raise anything
            return self._damaged(self._told(fault_of(exc)))
        if not name or not version:
            missing = "Name" if not name else "Version"
            return self._damaged(f"has no {missing}" if message.keys() else self._absence())
        return Metadata(name=name, version=version, requires=requires)

    @cached_property
    def entry_points_txt(self) -> bytes:
        """The bytes of the file, empty where there is none."""
        try:
            if self._path is None:
                return (self.dist.read_text("entry_points.txt") or "").encode()
            return bytes(self._path.joinpath("entry_points.txt").read_bytes())
        except (KeyError, OSError, UnicodeError):
            return b""

    def _told(self, exc: Exception) -> str:
        if isinstance(exc, UnicodeError):
            return "is not UTF-8"
        return self._absence() if isinstance(exc, FileNotFoundError) else f"cannot be read: {one_line(exc)}"

    def _absence(self) -> str:
        """Why nothing was read: importlib_metadata takes what may not be read for absent."""
        file = None if self._path is None else self._path.joinpath("METADATA")
        if file is None or not file.exists():
            return "is missing"
        return "is empty" if file.is_file() and os.access(str(file), os.R_OK) else "cannot be read"

    def _damaged(self, what: str) -> Metadata:
        name = canonicalize_name(self._named["name"]) if self._named else ""
        version = (self._named["version"] or "") if self._named else ""
        remedy = f"pip install --force-reinstall {name}, or delete the folder"
        return Metadata(name=name, version=version, problem=f"its METADATA in {self.place} {what}; {remedy}")
