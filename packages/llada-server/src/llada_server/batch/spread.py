"""Lines handed out to several workers in shares, and what becomes of each, told once.

This knows no Ray: whoever carries shares there and back will do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Protocol

from llada_core.errors import LladaError
from llada_server.batch.answering import Answered
from llada_server.batch.index import Index
from llada_server.batch.lines import Line
from llada_server.batch.shares import Sizes, answers_in, packed, shares

__all__ = ["Carrier", "Lost", "Spread"]


class Lost(LladaError):
    """The workers are gone, or lines with them."""


class Carrier(Protocol):
    """The way to the workers and back."""

    def put(self, share: bytes | None) -> None:
        """Send a share of lines; None is after the last."""
        ...

    def answered(self) -> Iterator[bytes]:
        """Each share once it is answered, in whatever order. Raises ``LladaError``."""
        ...


class Spread:
    """What becomes of each line, told in the order in which their shares are done; to be iterated once.

    One thread reads lines and sends them, another one takes what comes back. No more shares than
    ``sizes.all`` are on their way, and no more is read ahead. A line that comes back a second time is not
    told again. Iterating raises what either thread raises, and ``Lost`` where a line did not come back.

    Args:
        index: in which lines are marked as they are told.
    """

    def __init__(self, carrier: Carrier, lines: Iterable[Line], index: Index, sizes: Sizes) -> None:
        self._carrier, self._lines, self._index, self._sizes = carrier, lines, index, sizes
        self._room = threading.Semaphore(sizes.all)
        self._came: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._sent = self._told = 0
        self._stopped = False

    def __iter__(self) -> Iterator[Answered]:
        for each in (self._send, self._take):
            threading.Thread(target=each, name=f"llada-batch{each.__name__}", daemon=True).start()
        while (came := self._came.get()) is not None:
            if isinstance(came, BaseException):
                raise came
            told, again = self._told, False
            for one in answers_in(came):
                if self._index.mark(one.line):
                    self._told += 1
                    yield one
                else:
                    again = True
            if self._told > told or not again:  # a share that came before has left its room already
                self._room.release()
        if not self._stopped and self._told < self._sent:
            raise Lost(f"{self._sent - self._told} lines did not come back from the workers")

    def stop(self) -> None:
        """Let it end now, without what is in work. From any thread, and in handlers of signals."""
        self._stopped = True
        self._came.put(None)

    def _send(self) -> None:
        try:
            for share in shares(self._lines, self._sizes):
                self._room.acquire()
                self._sent += len(share)
                self._carrier.put(packed(share))
            self._carrier.put(None)
        except BaseException as exc:
            self._came.put(exc)

    def _take(self) -> None:
        try:
            for share in self._carrier.answered():
                self._came.put(share)
            self._came.put(None)
        except BaseException as exc:
            self._came.put(exc)
