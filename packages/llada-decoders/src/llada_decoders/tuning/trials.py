"""A candidate in work: what it was asked so far, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llada_core.bench import FIGURES, Answered, Sample
from llada_decoders.tuning.candidates import Candidate

__all__ = ["Trial"]


@dataclass(slots=True, kw_only=True)
class Trial:
    """A candidate and its ``samples``, one a stage, of questions in the same order for all; ``right`` says of
    each answer whether it is.

    ``error`` is why it is asked no more.
    """

    candidate: Candidate
    samples: list[Sample] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    error: Exception | None = None

    def take(self, sample: Sample) -> None:
        """Add the answers to further questions."""
        self.samples.append(sample)
        self.right += [bool(answer.right) for answer in sample.answers]

    @property
    def answers(self) -> list[Answered]:
        """Its answers, in the order of the questions."""
        return [answer for sample in self.samples for answer in sample.answers]

    @property
    def asked(self) -> int:
        """How many questions it has answered."""
        return len(self.right)

    @property
    def cut(self) -> int:
        """How many of its answers have no end token, as their length ended them."""
        return sum(sample.cut for sample in self.samples)

    def figure(self, name: str, stages: int | None = None) -> float:
        """A figure of ``llada bench`` over all its answers, those of the first ``stages`` alone; 0 where its
        answers do not tell it, as of answers without a token."""
        samples = self.samples[:stages]
        return (FIGURES[name].of(_together(samples)) or 0.0) if samples else 0.0


def _together(samples: Sequence[Sample]) -> Sample:
    """One sample of all answers."""
    return Sample(
        answers=tuple(answer for sample in samples for answer in sample.answers),
        seconds=sum(sample.seconds for sample in samples),
        forwards=sum(sample.forwards for sample in samples),
        rows=max(sample.rows for sample in samples),
        peak_memory=None,
    )
