"""The figures of a run: while it goes on, and at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llada_server.batch.answering import Answered

__all__ = ["Tally"]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of ``count`` lines; figures are of this run alone, but for ``before`` and ``failed``.

    Attributes:
        before: lines that were done before. failed: of all that are done, those without an answer.
        done: lines of this run. tokens, nfe: of their answers.
    """

    count: int
    before: int = 0
    failed: int = 0
    done: int = 0
    tokens: int = 0
    nfe: int = 0
    began: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """Count seconds from now on."""
        self.began = time.perf_counter()

    def take(self, one: Answered) -> None:
        """Count one more."""
        self.done += 1
        self.failed += one.failed
        self.tokens += one.tokens
        self.nfe += one.nfe

    @property
    def seconds(self) -> float:
        """Since the first line was begun."""
        return time.perf_counter() - self.began

    @property
    def now(self) -> str:
        """In a few words, beside a bar."""
        failed = f"{self.failed} failed, " if self.failed else ""
        return f"Answering, {failed}{self.tokens / self.seconds:.0f} tokens/s"

    @property
    def line(self) -> str:
        """In a line, where there is no bar."""
        done = self.before + self.done
        failed = f", {self.failed} failed" if self.failed else ""
        rest = (self.count - done) * self.seconds / self.done / 60 if self.done else None
        left = "" if rest is None else f", about {rest:.0f} min left"
        return f"{done} of {self.count} lines{failed}, {self.tokens / self.seconds:.0f} tokens/s{left}"

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
