"""The text of an answer that grows, without decoding all of it again for every token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llada_core.generation.stops import INCOMPLETE

__all__ = ["GrowingText"]

_CONTEXT = 16  # tokens decoded once more before new ones: what decoders join reaches over a few


class GrowingText:
    """The text of ids that mostly become more.

    New ids are decoded behind some of those before them, and all of them where that does not show how the
    text goes on: where it ends in half a character, or the ids are others than before.

    Args:
        decode: the text of ids.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: Sequence[int] = ()
        self._text = ""

    def of(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, as ``decode`` gives it."""
        if ids == self._ids:
            return self._text
        text = self._continued(ids)
        self._text = self._decode(ids) if text is None else text
        self._ids = ids
        return self._text

    def _continued(self, ids: Sequence[int]) -> str | None:
        """The text by its end alone; None where that is not known to be the same."""
        begin, known = len(self._ids) - _CONTEXT, len(self._ids)
        if begin <= 0 or ids[:known] != self._ids:
            return None
        before, after = self._decode(ids[begin:known]), self._decode(ids[begin:])
        if not before or before.endswith(INCOMPLETE) or not self._text.endswith(before):
            return None
        return self._text + after[len(before) :] if after.startswith(before) else None
