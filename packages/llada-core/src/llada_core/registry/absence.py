"""Why a name leads to nothing, ending with the remedy: whose it is and what became of that, or the names that
it may have meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packaging.utils import canonicalize_name

from llada_core.plugins.specs import PartKind
from llada_core.plugins.status import PluginStatus
from llada_core.registry.advice import advice
from llada_core.registry.catalogue import Catalogue
from llada_core.registry.wheels import published

__all__ = ["Absence"]


class Absence:
    """What is not in ``catalogue``; ``statuses`` says what became of each plugin, its
    detection hook included."""

    def __init__(self, catalogue: Catalogue, statuses: Callable[[], list[PluginStatus]]) -> None:
        self._catalogue = catalogue
        self._statuses = statuses

    def command(self, name: str) -> str | None:
        """Why a subcommand that a known distribution brings is not there, or None."""
        owner = published().commands.get(name)
        return None if owner is None else self._missing_from(owner)

    def algorithm(self, name: str) -> str | None:
        """Why an algorithm of a known wheel is not there; None for any other name."""
        if (owner := published().owner_of(name)) is not None:
            return f"no algorithm is called {name!r} here; {self._missing_from(owner)}"
        row = self._catalogue.wheels.bringing(name)
        if row is None or self._catalogue.engine_names.resolve(row.engine) is not None:
            return None
        told = self._failed(row.distribution) or self._catalogue.missing_engine(row.engine)
        return f"{name} is an algorithm of the engine {row.engine}, and {told}"

    def part(self, kind: PartKind, name: str) -> str | None:
        """Why a rule or policy that a known distribution brings is not there; None for any other name."""
        owner = published().parts[kind].get(name) if isinstance(name, str) else None
        return None if owner is None else f"no {kind} is called {name!r} here; {self._missing_from(owner)}"

    def parameters(self) -> dict[str, str]:
        """The parameters that parts of known distributions read and no part that is there, by name or alias:
        of each, why it is not taken."""
        found: dict[str, str] = {}
        for kind, parts in published().reads.items():
            there = self._catalogue.parts.tables[kind].entries
            for part, names in parts.items():
                if part not in there:
                    owner = published().parts[kind][part]
                    why = f"the {kind} {part} reads it, and is not there: {self._missing_from(owner)}"
                    found |= dict.fromkeys(names, why)
        return found

    def unknown(
        self,
        what: str,
        name: str,
        near: tuple[str, ...],
        *,
        listing: str,
        lost: Mapping[str, str] | None = None,
        empty: str | None = None,
    ) -> str:
        """What to say of a name that nobody is known to bring: ``empty``, which is why there is nothing at
        all, or what it may have meant."""
        told = empty or advice(
            name, near, listing=listing, statuses=self._catalogue.plugin_statuses(), lost=lost
        )
        return f"no {what} is called {name!r}; {told}"

    def _missing_from(self, owner: str) -> str:
        """Why something that a known distribution brings is not there."""
        return self._failed(owner) or f"{owner} brings it and is not installed; pip install {owner}"

    def _failed(self, distribution: str) -> str | None:
        """What became of an installed distribution's plugin, where that is why it brings nothing."""
        for status in self._statuses():
            if status.reason and canonicalize_name(status.distribution or "") == distribution:
                return (
                    f"it is of {distribution}, whose plugin {status.name} is {status.status}: {status.reason}"
                )
        return None
