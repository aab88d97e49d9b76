"""Names people type: one table for names and aliases, and the closest match of a name that is not in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Claim", "NameTable", "closest", "some"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``name`` stands for the thing called ``target``; ``owner`` is the distribution that says so."""

    name: str
    target: str
    owner: str


class NameTable:
    """Which thing each name and each alias stands for; a name stands for one thing only.

    Changes replace the table's dictionary as a whole, so that other threads may read meanwhile.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def claim(self, claim: Claim) -> Claim | None:
        """None once the name is taken for ``claim``, or the earlier claim that keeps it."""
        kept = self._claims.get(claim.name)
        if kept is None:
            self._claims = {**self._claims, claim.name: claim}
        return kept

    def release(self, target: str) -> None:
        """Free every name that stands for ``target``."""
        self._claims = {name: claim for name, claim in self._claims.items() if claim.target != target}

    def resolve(self, name: object) -> str | None:
        """What the name or alias stands for, exactly as written, or None, as for what is no text."""
        claim = self._claims.get(name) if isinstance(name, str) else None
        return None if claim is None else claim.target

    def owner(self, name: str) -> str | None:
        """The distribution that claims the name, or None."""
        claim = self._claims.get(name)
        return None if claim is None else claim.owner

    def aliases(self, target: str) -> tuple[str, ...]:
        """The other names of ``target``, sorted."""
        return tuple(sorted(c.name for c in self._claims.values() if c.target == target != c.name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def closest(self, name: str) -> tuple[str, ...]:
        """The names that ``name`` may have meant, best first."""
        return closest(name, self._claims)


def closest(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Up to ``limit`` of the ``known`` names that ``name`` may have meant, best first.

    Case and ``-`` against ``_`` do not count as differences here.
    """
    originals: dict[str, str] = {}
    for candidate in sorted(known):
        originals.setdefault(_folded(candidate), candidate)
    matches = difflib.get_close_matches(_folded(name), originals, n=limit, cutoff=0.6)
    return tuple(originals[match] for match in matches)


def some(names: Iterable[str]) -> str:
    """The first three of ``names``, sorted, and how many more there are."""
    listed = sorted(names)
    shown = ", ".join(listed[:3])
    return shown if len(listed) <= 3 else f"{shown} and {len(listed) - 3} more"


def _folded(name: str) -> str:
    return str(name).lower().replace("_", "-")
