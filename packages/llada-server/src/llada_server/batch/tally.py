"""The figures of a run: while it goes on, and at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llada_server.batch.answering import Answered
from llada_server.batch.pace import Pace

__all__ = ["Tally"]

_LONG = 60.0  # seconds without a line that is done, after which that is said
_SHARE, _ENOUGH = 10, 20  # a line of so many, or so many, are enough to tell how long the others take


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of ``count`` lines; figures are of this run alone, but for ``before`` and ``failed``.

    Attributes:
        before: lines that were done before. failed: of all that are done, those without an answer.
        done: lines of this run. tokens, nfe: of their answers. pace: how fast they are done as of late.
    """

    count: int
    before: int = 0
    failed: int = 0
    done: int = 0
    tokens: int = 0
    nfe: int = 0
    pace: Pace = field(init=False)
    _began: float = field(default_factory=time.perf_counter, init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(enough=self.enough)

    @property
    def enough(self) -> int:
        """Lines after which it can be told how long the rest takes: before, those done are the shortest."""
        return min((self.count - self.before) // _SHARE, _ENOUGH)

    def begin(self) -> None:
        """Count seconds from now on."""
        self._began = time.perf_counter()
        self.pace.begin()

    def take(self, one: Answered) -> None:
        """Count one more."""
        self.done += 1
        self.failed += one.failed
        self.tokens += one.tokens
        self.nfe += one.nfe
        self.pace.take(one.tokens)

    @property
    def seconds(self) -> float:
        """Since the first line was begun."""
        return time.perf_counter() - self._began

    @property
    def now(self) -> str:
        """In a few words, beside a bar."""
        failed = f"{self.failed} failed, " if self.failed else ""
        return f"Answering, {failed}{self._speed}"

    @property
    def line(self) -> str:
        """In a line, where there is no bar."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.before + self.done} of {self.count} lines{failed}, {self._speed}"

    @property
    def _speed(self) -> str:
        """How fast it is, and how long the rest takes; or for how long nothing has been done."""
        if self.pace.idle >= _LONG:
            return f"no line done for {_words(self.pace.idle)}"
        speed = f"{self.pace.tokens_per_second:.0f} tokens/s"
        left = self.pace.seconds_for(self.count - self.before - self.done)
        return speed if left is None else f"{speed}, {_about(left)} left"

    @property
    def summary(self) -> str:
        """In one line."""
        seconds = self.seconds
        told = [f"{self.count} requests", f"{self.failed} failed"]
        told += [f"{self.before} done before"] if self.before else []
        told += [f"{self.tokens} tokens", f"{seconds:.2f} s", f"{self.tokens / seconds:.1f} tokens/s"]
        told += [f"NFE {self.nfe}"]
        told += [f"{self.tokens / self.nfe:.2f} tokens/forward"] if self.nfe else []
        return " · ".join(told)


def _about(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"about {_words(seconds)}"


def _words(seconds: float) -> str:
    """So many seconds, a minute or more, in minutes, from two hours on in hours and minutes."""
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
