"""Requests and questions that were taken and have not ended: so many, and none once it is closed."""

from __future__ import annotations

from threading import Lock

from llada_server.scheduler.work import Closing, Full, Question, Work

__all__ = ["Accepted"]


class Accepted:
    """What is in work or waits, ``limit`` at a time; asked by every thread."""

    def __init__(self, limit: int) -> None:
        self._limit, self._lock = limit, Lock()
        self._held: set[Work | Question] = set()  # the lock's
        self.closed = False
        """Whether no more are taken."""

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, each: Work | Question) -> bool:
        return each in self._held

    def add(self, new: Work | Question) -> None:
        """Take one more. Raises ``Full`` and ``Closing``."""
        with self._lock:
            if self.closed:
                raise Closing("this server takes no more requests; ask another one, or later")
            if len(self._held) >= self._limit:
                raise Full(f"{self._limit} requests are in work or wait already; try again later")
            self._held.add(new)

    def close(self) -> None:
        """Take no more. Called by handlers of signals too, which may have interrupted the holder of the lock:
        it must not be waited for."""
        self.closed = True

    def discard(self, ended: Work | Question) -> bool:
        """Let one go that has ended; whether it was still here."""
        with self._lock:
            here = ended in self._held
            self._held.discard(ended)
        return here

    def dismiss(self) -> set[Work | Question]:
        """Take no more and let all go: who they are."""
        with self._lock:
            self.closed = True
            left, self._held = self._held, set()
        return left
