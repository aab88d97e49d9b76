"""Whether the catalogue's engines and algorithms can run here: None, or the reason with its remedy.

Listing looks at metadata only. Use also asks the engine's probe and imports the target; what it finds is
remembered, so that later listings tell it too. A failure is tried again at the next use.
"""

from __future__ import annotations

from collections.abc import Callable

from llada_core.plugins import requirements
from llada_core.plugins.installed import Installed
from llada_core.registry.catalogue import AlgorithmEntry, Catalogue, EngineEntry

__all__ = ["Readiness"]


class Readiness:
    """What keeps the entries of ``catalogue`` from running, given what is installed."""

    def __init__(self, catalogue: Catalogue, installed: Installed) -> None:
        self._catalogue = catalogue
        self._installed = installed
        self._found: dict[str, str | None] = {}  # what use found out, by target

    def engine(self, name: str, *, use: bool = False) -> str | None:
        """Why the engine of this canonical name cannot run; with ``use`` it is probed and imported."""
        entry = self._catalogue.engines[name]
        return self._base(entry, use) or self._import(entry, use)

    def algorithm(self, name: str, *, use: bool = False) -> str | None:
        """Why the algorithm of this canonical name cannot run; with ``use`` it is probed and imported."""
        entry = self._catalogue.algorithms[name]
        engine = self._catalogue.engine_of(entry.spec)
        reason = None
        if engine in self._catalogue.engines:
            reason = self._base(self._catalogue.engines[engine], use)
        elif entry.factory is None:
            reason = self._catalogue.wheels.advice(engine)
        if reason or entry.factory:
            return reason
        return self._metadata(entry) or self._import(entry, use)

    def _base(self, entry: EngineEntry, use: bool) -> str | None:
        """What keeps an engine from running, short of importing it."""
        return self._metadata(entry, entry.spec.requires) or self._probe(entry, use)

    def _metadata(self, entry: EngineEntry | AlgorithmEntry, requires: tuple[str, ...] = ()) -> str | None:
        owner = _owner(entry)
        package = self._installed.find(owner)
        declared = package.requires if package else ()
        reason = requirements.missing_requirement(owner, (*declared, *requires), self._installed)
        return reason or requirements.unfindable(entry.spec.target, owner)

    def _probe(self, entry: EngineEntry, use: bool) -> str | None:
        probe = entry.spec.probe
        if probe is None:
            return None
        return self._tried(probe, use, lambda: requirements.probe_failure(probe, _owner(entry)))

    def _import(self, entry: EngineEntry | AlgorithmEntry, use: bool) -> str | None:
        target = entry.spec.target
        return self._tried(target, use, lambda: requirements.import_failure(target, _owner(entry)))

    def _tried(self, target: str, use: bool, check: Callable[[], str | None]) -> str | None:
        if use and self._found.get(target, "not tried yet"):
            self._found[target] = check()
        return self._found.get(target)


def _owner(entry: EngineEntry | AlgorithmEntry) -> str:
    return entry.distribution or entry.spec.name
