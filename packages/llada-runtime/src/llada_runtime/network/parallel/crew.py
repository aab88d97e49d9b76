"""The other ranks, seen from rank 0: they are told what to do, and their end is noticed.

Nothing here waits for a rank that is gone: a thread watches their lines, and ends what waits for them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from signal import Signals

from llada_core.errors import GenerationError, UsageError
from llada_core.faults import is_interrupt, one_line
from llada_runtime.network.parallel.interrupts import uninterrupted
from llada_runtime.network.parallel.wire import Command, Line, LineEnded, read_end
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["Crew"]

_PATIENCE = 5.0  # seconds for what must come of itself: a death noticed, a process ended
_AGAIN = "load the model again"


class Crew:
    """The ranks from 1 on.

    Args:
        lines: to each of them, in their order.
        processes: those that rank 0 has started, in the same order; none where something else did.
        cleared: is called once they have ended.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        processes: Sequence[subprocess.Popen[bytes]] = (),
        *,
        cleared: Callable[[], None] = lambda: None,
    ) -> None:
        self._lines, self._processes = list(lines), list(processes)
        self._ranks: Ranks | None = None
        self._cleared = cleared
        self._turn, self._pid = threading.RLock(), os.getpid()
        self._ended, self._noticed = threading.Event(), threading.Event()
        self._why: str | None = None  # nothing can be asked any more
        lives = selectors.DefaultSelector()
        for rank, line in enumerate(self._lines, 1):
            lives.register(line.life, selectors.EVENT_READ, (rank, line))
        threading.Thread(target=self._watch, args=(lives,), name="llada-ranks", daemon=True).start()

    @property
    def size(self) -> int:
        """How many ranks there are, with rank 0."""
        return len(self._lines) + 1

    @property
    def is_ours(self) -> bool:
        """Whether this process is rank 0, and not one that it has forked: such a one has no say."""
        return os.getpid() == self._pid

    @property
    def lost(self) -> str | None:
        """Why nothing can be asked any more, though nobody has closed the model."""
        return None if self._why == "closed" else self._why

    def joins(self, ranks: Ranks) -> None:
        """What rank 0 computes with the others by, to be ended when one of them is lost."""
        self._ranks = ranks

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Tell and compute inside. Whatever is raised there ends the ranks.

        Raises:
            GenerationError: something failed, here or at another rank, or has failed before.
            UsageError: the model is closed.
        """
        self._check()
        try:
            yield
        except BaseException as exc:
            raise self._broken(exc) from exc

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The same, one thread at a time, and with Ctrl-C put off until the ranks have done what they do."""
        with self._turn, uninterrupted(), self.guarded():
            yield

    def tell(self, command: Command, ints: Sequence[int] = ()) -> None:
        for line in self._lines:
            line.tell(command, ints)

    def answers(self) -> list[int]:
        """One of each rank, to what it was told last. Waits."""
        return [line.answered() for line in self._lines]

    def end(self) -> None:
        """Let the ranks end, and wait for those that rank 0 has started. Again is no harm."""
        if not self.is_ours or self._ended.is_set():
            return
        self._ended.set()
        self._why = self._why or "closed"
        for line in self._lines:
            line.say_goodbye()
            line.close()
        for process in self._processes:
            _wait(process)
        if self._ranks is not None:
            self._ranks.abort()
        self._cleared()

    def _check(self) -> None:
        if self._why == "closed":
            raise UsageError("this model is closed; load it again")
        if self._why is not None:
            raise GenerationError(f"{self._why}; {_AGAIN}")

    def _broken(self, exc: BaseException) -> BaseException:
        """What is raised for ``exc``, which another rank's end may be the cause of."""
        interrupted = is_interrupt(exc)
        if not interrupted and isinstance(exc, (LineEnded, RuntimeError)):
            self._noticed.wait(0 if is_out_of_memory(exc) else _PATIENCE)
        if self._why is None:
            self._why = f"rank 0 of {self.size} has failed ({one_line(exc)}), and the others with it"
        why = self._why
        self.end()
        return exc if interrupted else GenerationError(f"{why}; {_AGAIN}")

    def _watch(self, lives: selectors.BaseSelector) -> None:
        """Wait for the end of a rank; unless it is meant, end the others, and what waits for them."""
        with lives:
            (key, _), *_ = lives.select()
        rank, line = key.data
        if self._ended.is_set():
            return
        _, said = read_end(line.life)
        because = f" ({said})" if said else self._how(rank)
        self._why = self._why or f"rank {rank} of {self.size} has ended{because}"
        self._noticed.set()
        for each in self._lines:
            each.hang_up()
        if self._ranks is not None:
            self._ranks.abort()

    def _how(self, rank: int) -> str:
        """How the process of a rank ended, where rank 0 can know."""
        if not self._processes:
            return ""
        status = _wait(self._processes[rank - 1])
        return f" (by {Signals(-status).name})" if status < 0 else f" (with exit status {status})"


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process that is about to end."""
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
