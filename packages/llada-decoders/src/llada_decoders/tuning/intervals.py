"""How sure a count of right answers is, alone and against other answers to the same questions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llada_core.bench import intervals

__all__ = ["Bounds", "Paired", "needed", "wilson"]

_MANY = 2**40  # questions that nobody asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least and the most that a proportion may be, or the ratio of two: they hold the true value in 95 %
    of runs, about; half of the others lie on either side."""

    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The answers of two to the same questions: right by ``both``; ``lost``, right by the first alone;
    ``won``, right by the second alone; and right by ``neither``."""

    both: int
    lost: int
    won: int
    neither: int

    @property
    def share(self) -> float:
        """Right answers of the second over those of the first; infinite or, of none and none, 1."""
        first, second = self.both + self.lost, self.both + self.won
        if not first:
            return math.inf if second else 1.0
        return second / first

    @property
    def interval(self) -> Bounds:
        """That of the share, given which questions the first has right.

        The share is then a sum of two independent proportions, of questions that the first has right and of
        those that it has not: what the second keeps, and what it gains, times the others for each right one.
        Each has Wilson's interval; that of their sum is by the method of variance estimates recovery (Zou
        and Donner, Statistics in Medicine 27 (2008) 1693). Where nothing is gained, it begins where Wilson's
        interval of what is kept does.
        """
        first, others = self.both + self.lost, self.won + self.neither
        if not first:
            return Bounds(least=0.0, most=math.inf)
        kept, gained = wilson(self.both, first), wilson(self.won, others)
        k, g, scale = self.both / first, self.won / first, others / first
        below = math.hypot(k - kept.least, g - scale * gained.least)
        above = math.hypot(kept.most - k, scale * gained.most - g)
        return Bounds(least=max(0.0, k + g - below), most=k + g + above)


def wilson(right: int, asked: int) -> Bounds:
    """The score interval of a proportion, as `llada_core.bench` has it; all of it where nothing was asked."""
    least, most = intervals.wilson(right, asked) if asked else (0.0, 1.0)
    return Bounds(least=least, most=most)


def needed(floor: float) -> int | None:
    """The least number of right answers whose being kept, all of them and no other gained, shows a share of
    ``floor``; None where no number does."""
    if not _shows(_MANY, floor):
        return None
    few, enough = 0, _MANY
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if _shows(middle, floor) else (middle, enough)
    return enough


def _shows(right: int, floor: float) -> bool:
    return wilson(right, right).least >= floor
