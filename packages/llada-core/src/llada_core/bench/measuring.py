"""Questions put to a loaded model, and the clock beside it. What a forward is, the rows themselves tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llada_core.bench.cases import Case
from llada_core.bench.memory import PeakMemory
from llada_core.bench.questions import Question
from llada_core.bench.samples import Answered, Sample
from llada_core.errors import PromptError, UsageError
from llada_core.generation.steps import Step, Ticket
from llada_core.loading import LoadedModel, Session

__all__ = ["MOST_ROWS", "filled", "measure", "rounds", "warm_case"]

MOST_ROWS = 65_536
"""Rows that are measured together, at most."""


@dataclass(slots=True, kw_only=True)
class _Row:
    """A question in work: when it was asked, and what is known of its answer so far."""

    question: Question
    number: int
    ticket: Ticket
    asked: float
    nfe: int = 0
    committed: int = 0
    first_text: float | None = None


@dataclass(slots=True, kw_only=True)
class _Watch:
    """The rows of a sample, in work and ended; its clock stands still while somebody is told of progress."""

    rows: dict[Ticket, _Row] = field(default_factory=dict)
    ended: list[tuple[int, Answered]] = field(default_factory=list)
    forwards: int = 0
    together: int = 0
    paused: float = 0.0

    def now(self) -> float:
        return time.perf_counter() - self.paused

    def see(self, steps: Sequence[Step]) -> int:
        """Take in what a step did; how many rows it ended. Raises the error of a row that failed."""
        self.together = max(self.together, sum(row.ticket.admitted is not None for row in self.rows.values()))
        for step in steps:
            self.rows[step.ticket].committed += len(step.positions) - len(step.revoked)
        for row in self.rows.values():
            if row.first_text is None and row.ticket.text:
                row.first_text = self.now() - row.asked
        self.forwards += max((row.ticket.nfe - row.nfe for row in self.rows.values()), default=0)
        for row in self.rows.values():
            row.nfe = row.ticket.nfe
        last = [step for step in steps if step.finished]
        for step in last:
            self._end(step)
        return len(last)

    def sample(self, seconds: float, peak_memory: int | None) -> Sample:
        """What was seen, in the order of the questions."""
        answers = tuple(answer for _, answer in sorted(self.ended, key=lambda each: each[0]))
        return Sample(
            answers=answers,
            seconds=seconds,
            forwards=self.forwards,
            rows=self.together,
            peak_memory=peak_memory,
        )

    def _end(self, step: Step) -> None:
        row = self.rows.pop(step.ticket)
        if step.error is not None:
            raise step.error
        assert step.result is not None, "a row that ended without an error has its result"
        answer = Answered(
            question=row.question,
            result=step.result,
            committed=min(row.committed, row.ticket.gen_length),  # what no longer fitted in is gone
            first_text=row.first_text,
            computed=getattr(row.ticket.row, "computed", None),
        )
        self.ended.append((row.number, answer))


def filled(questions: Sequence[Question], rows: int) -> list[Question]:
    """The questions, all of them as often as it takes to keep so many ``rows`` busy.

    Raises ``UsageError`` for more than `MOST_ROWS`, whose list alone would fill the memory.
    """
    if rows > MOST_ROWS:
        raise UsageError(f"{rows} rows share no forward anywhere; give at most {MOST_ROWS}")
    return list(questions) * max(1, -(-rows // len(questions)))


def measure(
    lm: LoadedModel,
    case: Case,
    questions: Sequence[Question],
    *,
    raw: bool = False,
    told: Callable[[int], None] = lambda ended: None,
) -> Sample:
    """The answers of the case to all questions, in their order, and what they took.

    A question is submitted as soon as there is room among the case's rows. Where there are fewer questions
    than rows, all are asked several times. ``told`` learns how many rows have just ended; its time does not
    count. Raises as ``LoadedModel.generate`` does, and for the first row that fails.
    """
    watch, memory = _Watch(), PeakMemory(lm.model.network)
    waiting = iter(list(enumerate(filled(questions, case.rows))))
    memory.begin()
    with lm.session(rows=case.rows) as session:
        began = watch.now()
        _submit(session, case, waiting, watch, raw)
        while session.active:
            ended = watch.see(session.step())
            _submit(session, case, waiting, watch, raw)
            _tell(watch, told, ended)
        memory.settle()
        seconds = watch.now() - began
    return watch.sample(seconds, memory.peak())


def _submit(
    session: Session, case: Case, waiting: Iterator[tuple[int, Question]], watch: _Watch, raw: bool
) -> None:
    while session.room:
        number, question = next(waiting, (None, None))
        if number is None or question is None:
            return
        asked = watch.now()
        with PromptError.placed(question.source):
            ticket = session.submit(case.request(question, number, raw=raw))
        watch.rows[ticket] = _Row(question=question, number=number, ticket=ticket, asked=asked)


def _tell(watch: _Watch, told: Callable[[int], None], ended: int) -> None:
    began = time.perf_counter()
    told(ended)
    watch.paused += time.perf_counter() - began


def warm_case(
    lm: LoadedModel, case: Case, questions: Sequence[Question], *, times: int = 1, raw: bool = False
) -> None:
    """Answer as many questions as the case has rows, ``times`` over: what is made on first use is nobody's
    time. Raises as ``measure``."""
    for _ in range(times):
        measure(lm, case, filled(questions, case.rows)[: case.rows], raw=raw)


def rounds(cases: Sequence[Case], count: int) -> Iterator[list[Case]]:
    """The cases ``count`` times over, every other time backwards: what changes by and by, such as a clock
    that a hot machine lowers, is nobody's advantage."""
    for number in range(count):
        yield list(reversed(cases)) if number % 2 else list(cases)
