"""The text of an answer in pieces, each as soon as it is final, that join to the whole byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Tail"]

_INCOMPLETE = "\ufffd"  # what decoders write for bytes that are no character yet


class Tail:
    """How much of an answer's text was given out, and what may be given out next.

    Args:
        stops: texts that end the answer. What may be the beginning of one is kept back.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stops)
        self._given = ""

    def next(self, text: str) -> str:
        """What is new in ``text``, the answer before its first mask, and cannot change any more."""
        ready = text.rstrip(_INCOMPLETE)
        ends = [place for place in map(ready.find, self._stops) if place >= 0]
        if ends:
            return self._give(ready[: min(ends)])
        return self._give(ready[: len(ready) - self._possible_stop(ready)])

    def rest(self, text: str) -> str:
        """What is left of ``text``, the whole answer."""
        if not text.startswith(self._given):
            raise ValueError("the tokenizer decoded the beginning of an answer in two ways")
        return self._give(text)

    def _give(self, text: str) -> str:
        if len(text) <= len(self._given) or not text.startswith(self._given):
            return ""
        new, self._given = text[len(self._given) :], text
        return new

    def _possible_stop(self, text: str) -> int:
        """How many characters at the end of ``text`` may be the beginning of a stop."""
        most = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), most, -1):
                if text.endswith(stop[:length]):
                    most = length
                    break
        return most
