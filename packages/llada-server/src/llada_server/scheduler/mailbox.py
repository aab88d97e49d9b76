"""What others ask of the model's thread: whoever posts is never blocked, also in a handler of signals."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from llada_server.scheduler.work import Question, Work

__all__ = ["Mailbox"]


@dataclass(frozen=True, slots=True)
class _Leaving:
    work: Work


class Mailbox:
    """Who comes stands in line; who leaves, and the end, go before them. The thread reads.

    Attributes:
        line: who came and has not been let in, in their order; the thread's own.
        ended: whether the thread is to end.
    """

    def __init__(self) -> None:
        self._posted: SimpleQueue[Work | Question | _Leaving | None] = SimpleQueue()
        self.line: deque[Work | Question] = deque()
        self.ended = False
        self._left: list[Work] = []

    def come(self, new: Work | Question) -> None:
        """Let this one stand in line. Called in any thread."""
        self._posted.put(new)

    def leave(self, work: Work) -> None:
        """Let this one go before the next step. Called in any thread."""
        self._posted.put(_Leaving(work))

    def end(self) -> None:
        """Let the thread end. Called in any thread."""
        self._posted.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until something comes, for so many seconds at most; whether there is something."""
        if not (self.line or self._left or self.ended):
            try:
                self._sort(self._posted.get(timeout=seconds))
            except Empty:
                return False
        return True

    def read(self) -> list[Work]:
        """Take in all that has come, without waiting: who leaves."""
        for _ in range(self._posted.qsize()):  # and not what comes meanwhile
            self._sort(self._posted.get())
        left, self._left = self._left, []
        return left

    def _sort(self, letter: Work | Question | _Leaving | None) -> None:
        if letter is None:
            self.ended = True
        elif isinstance(letter, _Leaving):
            self._left.append(letter.work)
        else:
            self.line.append(letter)
