"""Texts that end an answer: the one that is complete first, read from the left, ends it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["INCOMPLETE", "place_of"]

INCOMPLETE = "\ufffd"
"""What decoders write for bytes that are no character yet: it changes as text grows."""


def place_of(text: str, stops: Sequence[str], *, known: int = 0) -> int | None:
    """Where the text that ends ``text`` begins, None where none of them is in it.

    Of those that are complete at the same character it is the longest. So it stays the same however much
    follows. The first ``known`` characters are known to hold none.
    """
    found = [(stop, text.find(stop, max(known - len(stop) + 1, 0))) for stop in stops]
    return min(((at + len(stop), at) for stop, at in found if at >= 0), default=(0, None))[1]
