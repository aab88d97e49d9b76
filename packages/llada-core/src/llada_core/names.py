"""Names people type: one table for names and aliases, and the closest match of a name that is not in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest"]


def closest(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Up to ``limit`` of the ``known`` names that ``name`` may have meant, best first; names are matched as
    typed, but case and ``-`` against ``_`` do not count as differences here."""
    originals: dict[str, str] = {}
    for candidate in sorted(known):
        originals.setdefault(_folded(candidate), candidate)
    matches = difflib.get_close_matches(_folded(name), originals, n=limit, cutoff=0.6)
    return tuple(originals[match] for match in matches)


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")
