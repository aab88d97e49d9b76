"""Distributions that bring engines, for advice where an engine is not installed.

The rows are data: those of ``wheels.json`` beside this file, read once when somebody first asks, and those
that installed plugins add. Engines that are installed speak for themselves, through their specs.
"""

from __future__ import annotations

import functools
import json
import pkgutil
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from llada_core.checkpoints.config import ModelConfig
from llada_core.names import closest
from llada_core.plugins.specs import PartKind, StrangerSpec, WheelSpec

__all__ = ["Published", "Title", "Wheels", "published", "takes", "title_of"]


class Published(NamedTuple):
    """The data file: its rows, the distribution for somebody who has no engine at all, the commands, the
    algorithms for another's engine and the parts (of each kind, names and aliases) that distributions bring,
    which parameters each part reads besides the standard ones (``reads``: by kind and name), and the names of
    all distributions that are released together with this one."""

    rows: tuple[WheelSpec, ...]
    recommended: str
    commands: Mapping[str, str]
    algorithms: Mapping[str, str]
    parts: Mapping[PartKind, Mapping[str, str]]
    reads: Mapping[PartKind, Mapping[str, list[str]]]
    distributions: frozenset[str]

    def owner_of(self, algorithm: object) -> str | None:
        """The distribution that brings an algorithm of this name or alias for another's engine, or None."""
        return self.algorithms.get(algorithm) if isinstance(algorithm, str) else None


@functools.cache
def published() -> Published:
    """What ``wheels.json`` says."""
    text = pkgutil.get_data("llada_core.registry", "wheels.json")
    assert text is not None, "the wheel of llada-core holds it"
    data = json.loads(text)
    rows = tuple(map(_row, data["wheels"]))
    return Published(
        rows=rows,
        recommended=data["recommended"],
        commands=data["commands"],
        algorithms=data["algorithms"],
        parts={"rule": data["rules"], "policy": data["policies"]},
        reads={"rule": data["rule_parameters"], "policy": data["policy_parameters"]},
        distributions=frozenset((*data["others"], *(row.distribution for row in rows))),
    )


class Title(NamedTuple):
    """How good a claim to an engine's name is: the lower ``rank`` keeps it. ``why`` says what it rests on."""

    rank: int
    why: str


def title_of(distribution: str | None, engine: str) -> Title:
    """The claim of a distribution to the name of an engine that it brings.

    Nothing that a plugin says of itself counts. The data file says whom a published engine is of, and the
    name of a distribution is its owner's alone in the index that it comes from; who comes first in the
    alphabet says nothing.
    """
    owner = canonicalize_name(distribution or "")
    for row in published().rows:
        if row.engine == engine and canonicalize_name(row.distribution) == owner:
            return Title(0, "to which that name belongs")
    if _letters(owner) in (_letters(engine), _letters(f"llada-{engine}")):
        return Title(1, "which is named for it")
    return Title(2, "which comes first")


def takes(row: WheelSpec, config: ModelConfig) -> bool:
    """Whether a model of this config is one of the engine's that the row is about."""
    if config.kind_among(row.strangers) is not None:
        return False
    return (
        config.matches(row.model_types, row.architectures)
        or any(fnmatchcase(module, pattern) for module in config.auto_modules for pattern in row.modules)
        or (bool(row.fields) and all(_is_set(config.fields.get(field)) for field in row.fields))
    )


class Wheels:
    """The rows by engine: what is published, and what ``add`` took in."""

    def __init__(self) -> None:
        self._added: dict[str, WheelSpec] = {}

    def add(self, row: WheelSpec) -> WheelSpec | None:
        """None once the row is taken in, or the earlier row for its engine, which stays."""
        kept = self.find(row.engine)
        if kept is None:
            self._added[row.engine] = row
        return kept

    def find(self, engine: str) -> WheelSpec | None:
        """The row for the engine of this name or alias, or None."""
        return next((row for row in self.rows() if engine in (row.engine, *row.aliases)), None)

    def bringing(self, algorithm: str) -> WheelSpec | None:
        """The row for the engine that has an algorithm of this name or alias, or None."""
        return next((row for row in self.rows() if algorithm in row.algorithms), None)

    def rows(self) -> tuple[WheelSpec, ...]:
        """All rows, the published ones first."""
        return (*published().rows, *self._added.values())

    def advice(self, engine: str, known: Iterable[str] = ()) -> str:
        """How to get the engine of this name, which is not installed; it may be meant as one of the
        ``known``."""
        row = self.find(engine)
        if row is not None:
            return f"the engine {engine} is not installed; pip install {row.distribution}"
        near = closest(engine, [*known, *(each.engine for each in self.rows())], limit=1)
        hint = f"; did you mean {near[0]}?" if near else "; install the distribution that brings it"
        return f"the engine {engine} is not installed{hint}"


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _row(fields: Mapping[str, Any]) -> WheelSpec:
    strangers = tuple(StrangerSpec(**_frozen(each)) for each in fields.get("strangers", ()))
    return WheelSpec(**{**_frozen(fields), "strangers": strangers})


def _frozen(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _is_set(value: object) -> bool:
    """Whether a field says something; a negative id is how a config class says "none"."""
    return value is not None and not (isinstance(value, int) and value < 0)
