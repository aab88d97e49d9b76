"""Rules and policies by name: their facts, and the functions that make them."""

from __future__ import annotations

from typing import Any

from llada_core.errors import PartUnavailable, UnknownPart
from llada_core.imports import load_target
from llada_core.plugins.info import PartInfo
from llada_core.plugins.specs import PartKind
from llada_core.registry.absence import Absence
from llada_core.registry.parts import Parts
from llada_core.registry.readiness import Readiness

__all__ = ["PartLibrary"]


class PartLibrary:
    """The ``parts`` that algorithms may name; ``readiness`` knows what keeps one from running, ``absence``
    why one is not there."""

    def __init__(self, parts: Parts, readiness: Readiness, absence: Absence) -> None:
        self._parts = parts
        self._readiness = readiness
        self._absence = absence

    def names(self, kind: PartKind) -> list[str]:
        """The names of the rules or of the policies, sorted."""
        return sorted(self._parts.tables[kind].entries)

    def info(self, kind: PartKind, name: str, *, use: bool = False) -> PartInfo:
        """The facts of a part; with ``use`` its function is imported to find them out. Raises
        ``UnknownPart``."""
        table, canonical = self._parts.tables[kind], self._resolve(kind, name)
        entry = table.entries[canonical]
        reason = self._readiness.part(entry, use=use)
        return PartInfo(
            kind=kind,
            name=canonical,
            summary=entry.spec.summary,
            available=reason is None,
            reason=reason,
            aliases=table.names.aliases(canonical),
            parameters=entry.spec.parameters,
            distribution=entry.distribution,
            spec=entry.spec,
        )

    def load(self, kind: PartKind, name: str) -> Any:
        """The function that makes the part. Raises ``UnknownPart``, and ``PartUnavailable`` where it cannot
        be imported."""
        info = self.info(kind, name, use=True)
        if info.reason is not None:
            message = f"the {kind} {info.name} cannot be made here: {info.reason}"
            raise PartUnavailable(message, name=info.name, reason=info.reason, kind=kind)
        return load_target(info.spec.target)

    def _resolve(self, kind: PartKind, name: str) -> str:
        table = self._parts.tables[kind]
        canonical = table.names.resolve(name)
        if canonical is None:
            near = table.names.closest(name)
            message = self._absence.part(kind, name) or self._absence.unknown(
                kind, name, near, listing="parts", lost=table.lost
            )
            raise UnknownPart(message, name=name, kind=kind, candidates=near)
        return canonical
