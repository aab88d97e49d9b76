"""Whether a trial keeps enough of the baseline's right answers, as far as its questions tell, and how fast it
is; and which trial of an algorithm is to be taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llada_decoders.tuning.intervals import Paired, wilson
from llada_decoders.tuning.trials import Trial

__all__ = ["Judge", "Judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A trial passes with a share of at least ``floor`` of what ``baseline`` has right.

    ``questions`` are those of the last stage; ``speed`` is the figure of which more is better.
    """

    baseline: Trial
    floor: float
    questions: int
    speed: str

    @property
    def too_few(self) -> bool:
        """Whether a trial that keeps all of the baseline's right answers, and gains none, is not shown to
        pass: where none is, the shares decide."""
        right = sum(self.baseline.right)
        return wilson(right, right).least < self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A trial in the eyes of its judge."""

    trial: Trial
    judge: Judge

    @property
    def paired(self) -> Paired:
        """Its answers beside the baseline's to the same questions."""
        pairs = list(zip(self.judge.baseline.right, self.trial.right, strict=False))
        return Paired(
            both=pairs.count((True, True)),
            lost=pairs.count((True, False)),
            won=pairs.count((False, True)),
            neither=pairs.count((False, False)),
        )

    @property
    def speed(self) -> float:
        """On the questions that it was asked."""
        return self.trial.figure(self.judge.speed)

    @property
    def speed_up(self) -> float | None:
        """Its speed over the baseline's on the same questions; None where one has none."""
        of = self.judge.baseline.figure(self.judge.speed, len(self.trial.samples))
        return self.speed / of if of and self.speed else None

    @property
    def below(self) -> bool:
        """Whether it is shown to be below the floor: its share's interval ends there."""
        return self.paired.interval.most < self.judge.floor

    @property
    def may_reach(self) -> bool:
        """Whether its share of all questions can reach the floor, and is not shown to be below it."""
        able = self.trial.error is None and not self.below
        return able and self._at_best.share >= self.judge.floor

    @property
    def may_show(self) -> bool:
        """Whether right answers to all other questions would show that it passes."""
        return self.may_reach and self._at_best.interval.least >= self.judge.floor

    @property
    def _at_best(self) -> Paired:
        """Its pairs if it has all other questions right."""
        others = self.judge.baseline.right[self.trial.asked :]
        paired = self.paired
        both, won = paired.both + sum(others), paired.won + len(others) - sum(others)
        return replace(paired, both=both, won=won)

    @property
    def complete(self) -> bool:
        """Whether it was asked all questions."""
        return self.trial.error is None and self.trial.asked == self.judge.questions

    @property
    def reaches(self) -> bool:
        """Whether its share of all questions reaches the floor."""
        return self.complete and self.paired.share >= self.judge.floor

    @property
    def shown(self) -> bool:
        """Whether all of its share's interval does, too."""
        return self.complete and self.paired.interval.least >= self.judge.floor

    @staticmethod
    def best(judged: Sequence[Judged]) -> Judged | None:
        """The one to take: the fastest that is shown to pass; where none is, the fastest whose share reaches
        the floor; None where none does, or is any faster than the baseline."""
        faster = [each for each in judged if (each.speed_up or 0.0) > 1]
        for able in ([each for each in faster if each.shown], [each for each in faster if each.reaches]):
            if able:
                return max(able, key=lambda each: (each.speed, each.paired.share))
        return None
