"""All that a call of ``llada tune`` found, as far as it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llada_decoders.tuning.asking import Questions
from llada_decoders.tuning.brackets import Bracket
from llada_decoders.tuning.judging import Judge, Judged
from llada_decoders.tuning.trials import Trial

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was asked of what, and who judges it."""

    questions: Questions
    judge: Judge
    brackets: Sequence[Bracket]

    @property
    def baseline(self) -> Trial:
        """One token a step."""
        return self.judge.baseline

    @property
    def complete(self) -> bool:
        """Whether all was asked that was to be; False after an interrupt."""
        return all(bracket.raced for bracket in self.brackets)

    def best(self) -> list[Judged | None]:
        """What to take of each algorithm; None where nothing of it passes."""
        return [bracket.best(self.judge) for bracket in self.brackets]

    def fastest(self) -> Judged | None:
        """What to take of all algorithms; None where nothing passes."""
        return Judged.best([each for each in self.best() if each is not None])

    def failures(self) -> Iterator[tuple[Trial, Exception]]:
        """The candidates that could not be asked, and why."""
        for bracket in self.brackets:
            for trial in bracket.trials:
                if trial.error is not None:
                    yield trial, trial.error


def verdict(judged: Judged, best: Judged | None, *, raced: bool) -> str:
    """What became of a trial, in a few words; ``best`` is the one to take of its algorithm, ``raced`` whether
    all was asked that was to be."""
    if judged.trial.error is not None:
        return "failed"
    if not judged.trial.asked:
        return "not asked"
    if judged.below:
        return "below the floor"
    if not judged.complete:
        if not judged.may_reach:
            return "out of reach"
        return "slower, asked no more" if raced else "interrupted"
    if best is not None and best.trial is judged.trial:
        return "take it" if judged.shown else "take it, not shown"
    return _not_taken(judged, best)


def _not_taken(judged: Judged, best: Judged | None) -> str:
    """The verdict on one that was asked all questions and is not the one to take."""
    if not judged.reaches:
        return "may be below"
    if (judged.speed_up or 0.0) <= 1:
        return "no faster"
    if not judged.shown and (best is None or best.shown):
        return "not shown"
    return "passes, as fast" if best is not None and judged.speed == best.speed else "passes, slower"
