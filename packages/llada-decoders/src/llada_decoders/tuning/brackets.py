"""An algorithm's candidates in one race, which ends where its fastest parameters that pass are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llada_decoders.tuning.asking import Asking
from llada_decoders.tuning.halving import halve, stages
from llada_decoders.tuning.judging import Judge, Judged
from llada_decoders.tuning.trials import Trial

__all__ = ["Bracket"]


@dataclass(slots=True, kw_only=True)
class Bracket:
    """An algorithm and its trials; ``raced`` once all that is to be asked was."""

    algorithm: str
    trials: list[Trial]
    raced: bool = field(default=False)

    def race(self, asking: Asking, judge: Judge) -> None:
        """Ask the trials until the fastest that passes is known."""
        sizes = stages(len(asking.questions))

        def ask(entrants: Sequence[Judged], size: int) -> None:
            label = f"{self.algorithm}: {len(entrants)} settings, {size} questions"
            asking.ask([each.trial for each in entrants], size, label)

        halve(self.judged(judge), sizes, ask)
        self.raced = True

    def judged(self, judge: Judge) -> list[Judged]:
        """The trials in the eyes of the judge."""
        return [Judged(trial=trial, judge=judge) for trial in self.trials]

    def best(self, judge: Judge) -> Judged | None:
        """The one to take, of those asked so far; None where none passes."""
        return Judged.best(self.judged(judge))
