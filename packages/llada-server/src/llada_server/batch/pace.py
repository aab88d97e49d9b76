"""How fast lines are done as of late: from what was done in the last minutes, and not since the beginning."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Pace"]

_WINDOW = 120.0  # seconds that are looked back, or more
_FEW = 20  # lines that are looked back at least: they end in waves, as they begin together
_APART = 1.0  # seconds between two things remembered


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was done up to a time."""

    time: float
    lines: int
    tokens: int


class Pace:
    """Lines and tokens a second in the last two minutes, or over the last twenty lines where these took more.

    What is measured ends now and not with the last line: while none is done, it falls.

    Args:
        enough: lines after which it can be told how long others take.
    """

    def __init__(self, *, enough: int = _FEW, clock: Callable[[], float] = time.perf_counter) -> None:
        self._enough, self._clock = max(enough, 1), clock
        self.begin()

    def begin(self) -> None:
        """Forget all, and count seconds from now on."""
        self._lines = self._tokens = 0
        self._last = self._clock()
        self._seen = deque([_Seen(self._last, 0, 0)])

    def take(self, tokens: int) -> None:
        """Count one more line."""
        self._lines, self._tokens, self._last = self._lines + 1, self._tokens + tokens, self._clock()
        if self._last - self._seen[-1].time >= _APART:
            self._seen.append(_Seen(self._last, self._lines, self._tokens))
        while len(self._seen) > 2 and self._may_go(self._seen[1]):
            self._seen.popleft()

    def _may_go(self, second: _Seen) -> bool:
        """Whether what was before the ``second`` thing remembered is not looked at any more."""
        return self._last - second.time >= _WINDOW and self._lines - second.lines >= _FEW

    @property
    def tokens_per_second(self) -> float:
        """Of late."""
        first = self._seen[0]
        return (self._tokens - first.tokens) / max(self._clock() - first.time, 1e-9)

    @property
    def idle(self) -> float:
        """Seconds since a line was done, or since the beginning."""
        return self._clock() - self._last

    def seconds_for(self, lines: int) -> float | None:
        """How long so many more lines take; None where too few are done to tell."""
        first = self._seen[0]
        if self._lines < self._enough or self._lines == first.lines:
            return None
        return lines * (self._clock() - first.time) / (self._lines - first.lines)
