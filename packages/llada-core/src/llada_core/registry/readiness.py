"""Whether the catalogue's engines, algorithms and parts can run here: None, or the reason with its remedy.

Listing looks at metadata and for modules, importing none. Use also asks the engine's probe, imports the
target and makes the object; what it finds is remembered, so that later listings tell it too. A failure is
tried again at the next use.
"""

from __future__ import annotations

from collections.abc import Callable

from llada_core.plugins import requirements
from llada_core.plugins.installed import Installed
from llada_core.registry.catalogue import AlgorithmEntry, Catalogue, EngineEntry
from llada_core.registry.instances import own_reason
from llada_core.registry.parts import PartEntry

__all__ = ["Readiness"]

_Entry = EngineEntry | AlgorithmEntry | PartEntry


class Readiness:
    """What keeps the entries of ``catalogue`` from running, given what is installed."""

    def __init__(self, catalogue: Catalogue, installed: Installed) -> None:
        self._catalogue = catalogue
        self._installed = installed  # which remembers what it has read
        self._unmet: dict[tuple[str, tuple[str, ...]], str | None] = {}  # by distribution and what it needs
        self._found: dict[str, str | None] = {}  # what use found out, by target
        self._made: dict[AlgorithmEntry, str] = {}  # why the object could not be made, or would not run

    def engine(self, name: str, *, use: bool = False) -> str | None:
        """Why the engine of this canonical name cannot run; with ``use`` it is probed and imported."""
        entry = self._catalogue.engines[name]
        if entry.own:
            return self.algorithm(entry.default_algorithm)
        return self._base(entry, use) or self._import(entry, use)

    def algorithm(self, name: str, *, use: bool = False) -> str | None:
        """Why the algorithm of this canonical name cannot run; with ``use`` what it needs is probed and
        imported, and what ``remember`` was told does not count."""
        entry = self._catalogue.algorithms[name]
        engine = self._catalogue.engine_of(entry.spec)
        holder = self._catalogue.engines.get(engine)
        if holder is None:
            return self._catalogue.missing_engine(engine)
        reason = None if holder.own else self._base(holder, use)
        if entry.factory is None:
            reason = reason or self._metadata(entry) or self._import(entry, use)
        if use:
            return reason
        if entry.factory is not None:  # the program registered it, so it is there to be asked
            reason = reason or own_reason(entry.spec.target, entry.factory)
        return reason or self._made.get(entry)

    def part(self, entry: PartEntry, *, use: bool = False) -> str | None:
        """Why a rule or policy cannot be made; with ``use`` its function is imported."""
        return self._metadata(entry) or self._import(entry, use)

    def remember(self, name: str, reason: str | None) -> None:
        """Tell of the algorithm from now on what making its object found out."""
        entry = self._catalogue.algorithms[name]
        self._made.pop(entry, None)
        if reason is not None:
            self._made[entry] = reason

    def _base(self, entry: EngineEntry, use: bool) -> str | None:
        """What keeps an engine from running, short of importing it: its algorithms may load models too."""
        return self._metadata(entry, entry.spec.requires) or self._probe(entry, use)

    def _metadata(self, entry: _Entry, requires: tuple[str, ...] = ()) -> str | None:
        owner = _owner(entry)
        if (owner, requires) not in self._unmet:
            package = self._installed.find(owner)
            needed = (*(package.requires if package else ()), *requires)
            self._unmet[owner, requires] = requirements.missing_requirement(owner, needed, self._installed)
        return self._unmet[owner, requires]

    def _probe(self, entry: EngineEntry, use: bool) -> str | None:
        probe = entry.spec.probe
        if probe is None:
            return None
        return self._tried(probe, _owner(entry), use, requirements.probe_failure)

    def _import(self, entry: _Entry, use: bool) -> str | None:
        return self._tried(entry.spec.target, _owner(entry), use, requirements.import_failure)

    def _tried(
        self, target: str, owner: str, use: bool, check: Callable[[str, str], str | None]
    ) -> str | None:
        """What use found out about the target; before that, whether its modules are there."""
        if use and self._found.get(target, "not tried yet"):
            self._found[target] = check(target, owner)
        return self._found[target] if target in self._found else requirements.unfindable(target, owner)


def _owner(entry: _Entry) -> str:
    return entry.distribution or entry.spec.name
