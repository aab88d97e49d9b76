"""Two cases that were measured in pairs: how many times one has of the other, and how sure that is.

The interval of the median is that of the sign test: from the k-th least ratio to the k-th greatest. It asks
nothing of how times are distributed. What is the same in every round has no interval: more rounds tell
nothing more of it. Right answers are compared question by question, by the exact test of McNemar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any

from llada_core.bench.figures import Figure
from llada_core.bench.samples import Sample

__all__ = ["CONFIDENCE", "LEAST_PAIRS", "Answers", "Ratio", "answers", "ratios"]

CONFIDENCE = 0.95
LEAST_PAIRS = 6
"""Pairs from which the least and the greatest ratio enclose the median with ``CONFIDENCE``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure of the second case over that of the first, pair by pair.

    ``least`` and ``most`` enclose the median in ``coverage`` of all runs, at least ``CONFIDENCE``; all three
    are None where the ratio is the same in every pair. ``better`` and ``worse`` count the pairs in which the
    second case is so; the others are equal.
    """

    figure: str
    median: float
    least: float | None
    most: float | None
    coverage: float | None
    better: int
    worse: int
    pairs: int

    @property
    def shows_no_difference(self) -> bool:
        """Whether the interval includes 1; without an interval, whether the ratio is 1."""
        if self.least is None or self.most is None:
            return self.median == 1
        return self.least <= 1 <= self.most

    def as_dict(self) -> dict[str, Any]:
        """As ``llada bench --json`` writes it."""
        return {
            "figure": self.figure,
            "median": self.median,
            "least": self.least,
            "most": self.most,
            "coverage": self.coverage,
            "better": self.better,
            "worse": self.worse,
            "pairs": self.pairs,
            "shows_no_difference": self.shows_no_difference,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of ``questions`` whose answers are known, how many the ``first`` case answered right in more rounds
    than the second, and the ``second`` in more than the first. The others say nothing of which is better.

    ``p`` is how often the two counts differ so much or more between cases that are equally good: McNemar's
    test, exact and two-sided.
    """

    questions: int
    first: int
    second: int
    p: float

    @property
    def shows_no_difference(self) -> bool:
        """Whether cases that are equally good differ so in more than 1 - ``CONFIDENCE`` of all runs."""
        return self.p > 1 - CONFIDENCE

    def as_dict(self) -> dict[str, Any]:
        """As ``llada bench --json`` writes it."""
        return {
            "questions": self.questions,
            "first": self.first,
            "second": self.second,
            "p": self.p,
            "shows_no_difference": self.shows_no_difference,
        }


def ratios(first: Sequence[Sample], second: Sequence[Sample], figure: Figure) -> Ratio | None:
    """The figure of each sample of ``second`` over that of ``first`` in the same place.

    None where one of them does not tell it, or is 0. Raises ``ValueError`` for a figure of which neither more
    nor less is better, and for fewer than ``LEAST_PAIRS``, of which nothing can be said with ``CONFIDENCE``.
    """
    if figure.better is None:
        raise ValueError(f"neither more nor less {figure.name} is better; compare another figure")
    pairs = [(figure.of(one), figure.of(other)) for one, other in zip(first, second, strict=True)]
    if len(pairs) < LEAST_PAIRS:
        raise ValueError(
            f"{len(pairs)} pairs are too few to enclose a median; measure {LEAST_PAIRS} at least"
        )
    told = [(one, other) for one, other in pairs if one and other]
    if len(told) < len(pairs):
        return None
    found = sorted(other / one for one, other in told)
    least, most, coverage = _interval(found)
    more = sum(other > one for one, other in told)
    less = sum(other < one for one, other in told)
    return Ratio(
        figure=figure.name,
        median=median(found),
        least=least,
        most=most,
        coverage=coverage,
        better=more if figure.better == "more" else less,
        worse=less if figure.better == "more" else more,
        pairs=len(found),
    )


def answers(first: Sequence[Sample], second: Sequence[Sample]) -> Answers | None:
    """The right answers of two cases to the same ``Question`` objects, one by one over all samples.

    A question that a sample asks several times counts once. None where of no question it is known which
    answers are right. Raises ``ValueError`` where the cases were not asked the same, or not as often.
    """
    ones, others = _right(first), _right(second)
    if len(first) != len(second) or ones.keys() != others.keys():
        raise ValueError("the two cases were asked different questions; ask both the same, as often")
    if not ones:
        return None
    for_first = sum(ones[question] > others[question] for question in ones)
    for_second = sum(ones[question] < others[question] for question in ones)
    return Answers(questions=len(ones), first=for_first, second=for_second, p=_mcnemar(for_first, for_second))


def _right(samples: Sequence[Sample]) -> dict[int, int]:
    """How often each question, by its identity, was answered right; those of which that is known."""
    counts: dict[int, int] = {}
    for sample in samples:
        for answer in sample.answers:
            if answer.right is not None:
                counts[id(answer.question)] = counts.get(id(answer.question), 0) + answer.right
    return counts


def _mcnemar(first: int, second: int) -> float:
    """How often the fair coin falls so unevenly, or more so."""
    tosses = first + second
    tail: float = sum(comb(tosses, heads) for heads in range(min(first, second) + 1)) / 2**tosses
    return min(1.0, 2 * tail)


def _interval(found: Sequence[float]) -> tuple[float, float, float] | tuple[None, None, None]:
    """The interval of the median of sorted ratios and its coverage; nothing where they are all the same."""
    if found[0] == found[-1]:
        return None, None, None
    rank, coverage = _rank(len(found))
    return found[rank - 1], found[-rank], coverage


def _rank(pairs: int) -> tuple[int, float]:
    """The greatest k for which the k-th least and greatest enclose the median with ``CONFIDENCE``, and how
    often they do."""
    outside, rank = 0.0, 0
    while True:
        more = outside + 2 * comb(pairs, rank) / 2**pairs
        if 1 - more < CONFIDENCE:
            return rank, 1 - outside
        outside, rank = more, rank + 1
