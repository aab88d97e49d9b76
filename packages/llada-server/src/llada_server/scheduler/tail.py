"""The text of an answer in pieces, each as soon as it is final, that join to the whole byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from llada_core.generation.stops import INCOMPLETE, place_of

__all__ = ["Tail"]


class Tail:
    """How much of an answer's text was given out, and what may be given out next.

    Each character is looked at a bounded number of times for each stop, however often the text grows.

    Args:
        stops: texts that end the answer. What may be the beginning of one is kept back.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stops)
        self._given = ""
        self._forget()

    def _forget(self) -> None:
        """Be as before any text was seen."""
        self._seen = ""
        self._begun = tuple(map(_Begun, self._stops))
        self._end: int | None = None  # where the stop begins that ends the answer

    def next(self, text: str) -> str:
        """What is new in ``text``, the answer before its first mask, and cannot change any more."""
        ready = text.rstrip(INCOMPLETE)
        self._see(ready)
        if self._end is not None:
            return self._give(ready[: self._end])
        kept = max((begun.length for begun in self._begun), default=0)
        return self._give(ready[: len(ready) - kept])

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

    def _see(self, text: str) -> None:
        """Look for stops in what is new."""
        if not text.startswith(self._seen):
            self._forget()
        if self._end is not None:
            return
        self._end = place_of(text, self._stops, known=len(self._seen))
        if self._end is None:
            for begun in self._begun:
                begun.see(text[len(self._seen) :])
        self._seen = text


class _Begun:
    """How many characters at the end of a text are the beginning of ``stop``, which is nowhere in it; told as
    the text grows (Knuth, Morris and Pratt 1977)."""

    def __init__(self, stop: str) -> None:
        self._stop = stop
        self._shorter = [0, 0]  # of each beginning the longest that it ends with; made as far as one came
        self.length = 0

    def see(self, new: str) -> None:
        """Take in what follows."""
        at = 0
        while at < len(new):
            if self.length == 0:  # as nearly always: on to where it may begin
                at = new.find(self._stop[0], at)
                if at < 0:
                    return
            self._match(new[at])
            at += 1

    def _match(self, character: str) -> None:
        while self.length and self._stop[self.length] != character:
            self.length = self._shorter[self.length]
        if self._stop[self.length] == character:
            self.length += 1
            if self.length == len(self._shorter):
                self._shorter.append(self._shorter_of(self.length))

    def _shorter_of(self, length: int) -> int:
        found, last = self._shorter[length - 1], self._stop[length - 1]
        while found and self._stop[found] != last:
            found = self._shorter[found]
        return found + (self._stop[found] == last)
