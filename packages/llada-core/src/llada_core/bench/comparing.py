"""Two cases that were measured in pairs: how many times one has of the other, and how sure that is.

The interval of the median is that of the sign test: from the k-th least ratio to the k-th greatest. It asks
nothing of how times are distributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any

from llada_core.bench.figures import Figure
from llada_core.bench.samples import Sample

__all__ = ["CONFIDENCE", "LEAST_PAIRS", "Ratio", "ratios"]

CONFIDENCE = 0.95
LEAST_PAIRS = 6
"""Pairs from which the least and the greatest ratio enclose the median with ``CONFIDENCE``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure of the second case over that of the first, pair by pair.

    ``least`` and ``most`` enclose the median in ``coverage`` of all runs, at least ``CONFIDENCE``. ``better``
    and ``worse`` count the pairs in which the second case is so; the others are equal.
    """

    figure: str
    median: float
    least: float
    most: float
    coverage: float
    better: int
    worse: int
    pairs: int

    @property
    def shows_no_difference(self) -> bool:
        """Whether the interval includes 1."""
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


def ratios(first: Sequence[Sample], second: Sequence[Sample], figure: Figure) -> Ratio | None:
    """The figure of each sample of ``second`` over that of ``first`` in the same place.

    None where one of them does not tell it, or is 0. Raises ``ValueError`` for fewer than ``LEAST_PAIRS``, of
    which nothing can be said with ``CONFIDENCE``.
    """
    pairs = [(figure.of(one), figure.of(other)) for one, other in zip(first, second, strict=True)]
    if len(pairs) < LEAST_PAIRS:
        raise ValueError(
            f"{len(pairs)} pairs are too few to enclose a median; measure {LEAST_PAIRS} at least"
        )
    told = [(one, other) for one, other in pairs if one and other]
    if len(told) < len(pairs):
        return None
    found = sorted(other / one for one, other in told)
    rank, coverage = _rank(len(found))
    more = sum(other > one for one, other in told)
    less = sum(other < one for one, other in told)
    return Ratio(
        figure=figure.name,
        median=median(found),
        least=found[rank - 1],
        most=found[-rank],
        coverage=coverage,
        better=more if figure.better == "more" else less,
        worse=less if figure.better == "more" else more,
        pairs=len(found),
    )


def _rank(pairs: int) -> tuple[int, float]:
    """The greatest k for which the k-th least and greatest enclose the median with ``CONFIDENCE``, and how
    often they do."""
    outside, rank = 0.0, 0
    while True:
        more = outside + 2 * comb(pairs, rank) / 2**pairs
        if 1 - more < CONFIDENCE:
            return rank, 1 - outside
        outside, rank = more, rank + 1
