"""What masks that are put into an answer do to what is kept of it by offset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["follow", "moved"]

_Told = TypeVar("_Told")


def moved(offset: int, inserted: Iterable[tuple[int, int]]) -> int:
    """Where stands what stood at ``offset`` before these pairs of an offset and a count were put in."""
    for place, count in inserted:
        offset += count if offset >= place else 0
    return offset


def follow(told: dict[int, _Told], inserted: Iterable[tuple[int, int]], length: int) -> None:
    """Change ``told``, by offset, as the answer has changed, which has ``length`` positions now."""
    pairs = list(inserted)
    places = [(moved(offset, pairs), value) for offset, value in told.items()]
    told.clear()
    told.update((place, value) for place, value in places if place < length)
