"""Prompts decoded with one setting after the other: each is run, and its time measured, alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from llada_core.cli.live import watch
from llada_core.cli.progress import Bar
from llada_core.cli.prompts import Entry
from llada_core.cli.settings import Setting
from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.generation.tickets import Ticket
from llada_core.loading import LoadedModel, Session
from llada_core.parameters import parameters_of_row

__all__ = ["Outcome", "Run", "warm_up"]

_WARM_STEPS = 4  # a cache is written and read by then, and what is made on first use is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one prompt: either its result or its error."""

    entry: Entry
    result: GenerationResult | None = None
    error: Exception | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """The prompts of a call with one setting; ``seconds`` are those of its steps, ``outcomes`` in order.

    ``warmed_up`` says whether some steps ran before that.
    """

    setting: Setting
    label: str
    seconds: float = 0.0
    warmed_up: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def results(self) -> list[GenerationResult]:
        """The results of the prompts that were answered."""
        return [outcome.result for outcome in self.outcomes if outcome.result is not None]

    @property
    def errors(self) -> list[Exception]:
        """The errors of the others."""
        return [outcome.error for outcome in self.outcomes if outcome.error is not None]

    @property
    def nfe(self) -> int:
        """Forward passes, summed over the prompts that were answered."""
        return sum(result.nfe for result in self.results)

    @property
    def tokens(self) -> int:
        """Tokens of the answers."""
        return sum(result.completion_tokens for result in self.results)

    def decode(
        self, lm: LoadedModel, entries: Sequence[Entry], *, rows: int, raw: bool, bar: Bar
    ) -> Iterator[Outcome]:
        """The outcomes in the order of the prompts, each as soon as it and all before it are there."""
        with lm.session(rows=rows) as session:
            waiting = deque(self._submitted(session, entry, n, raw) for n, entry in enumerate(entries))
            while waiting:
                entry, state = waiting[0]
                outcome = _outcome(entry, state)
                if outcome is None:
                    self._step(session, bar)
                    continue
                waiting.popleft()
                self.outcomes.append(outcome)
                yield outcome

    def watch(self, lm: LoadedModel, entry: Entry, *, raw: bool) -> Iterator[Outcome]:
        """The outcome of a prompt that is shown while it is decoded, on a terminal."""
        request = self._request(entry, 0, raw)
        try:
            steps = lm.stream(entry.prompt, algorithm=request.algorithm, raw=raw, **dict(request.parameters))
            result = watch(steps, lm.model)
        except Exception as exc:  # of a row: another setting may do better
            outcome = Outcome(entry=entry, error=exc)
        else:
            self.seconds += result.seconds
            outcome = Outcome(entry=entry, result=result)
        self.outcomes.append(outcome)
        yield outcome

    def _step(self, session: Session, bar: Bar) -> None:
        began = time.perf_counter()
        steps = session.step()
        self.seconds += time.perf_counter() - began
        bar.advance(sum(step.finished for step in steps))

    def _submitted(
        self, session: Session, entry: Entry, number: int, raw: bool
    ) -> tuple[Entry, Ticket | Exception]:
        try:
            return entry, session.submit(self._request(entry, number, raw))
        except Exception as exc:  # of this prompt: the others are decoded
            return entry, exc

    def _request(self, entry: Entry, number: int, raw: bool) -> GenerationRequest:
        return GenerationRequest(
            prompt=entry.prompt,
            algorithm=self.setting.algorithm,
            raw=raw,
            parameters=parameters_of_row(self.setting.parameters, number),
        )


def _outcome(entry: Entry, state: Ticket | Exception) -> Outcome | None:
    if isinstance(state, Exception):
        return Outcome(entry=entry, error=state)
    if state.status != "finished":
        return None
    return Outcome(entry=entry, result=state.result, error=state.error)


def warm_up(lm: LoadedModel, runs: Sequence[Run], entry: Entry, *, raw: bool) -> None:
    """Run some steps of each setting that has steps, unmeasured: what is made on first use is nobody's
    time. An answer that comes all at once would be made twice."""
    for run in runs:
        try:
            run.warmed_up = lm.algorithm(run.setting.algorithm).yields_steps()
            if not run.warmed_up:
                continue
            steps = lm.stream(
                entry.prompt, algorithm=run.setting.algorithm, raw=raw, **run.setting.parameters
            )
            with closing(steps):
                deque(islice(steps, _WARM_STEPS), maxlen=0)
        except Exception:  # it is told when the setting is run
            continue
