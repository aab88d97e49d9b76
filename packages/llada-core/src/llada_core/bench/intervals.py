"""How sure shares of right answers are: the interval of one, and that of the difference of a pair.

Both hold in 95 % of all samples of questions, and say nothing of which questions those are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

__all__ = ["Interval", "difference", "share", "wilson"]

_Z = NormalDist().inv_cdf(0.975)  # standard deviations that enclose 95 % of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure in percent, with the ``least`` and the ``most`` that it may be."""

    value: float
    least: float
    most: float


def wilson(right: int, asked: int) -> tuple[float, float]:
    """The least and the most of a proportion, from 0 to 1, of those ``asked``, at least one: its score
    interval (Wilson, JASA 22 (1927) 209)."""
    half = _Z * sqrt(_Z * _Z + 4 * right * (1 - right / asked))
    least, most = ((2 * right + _Z * _Z + sign * half) / (2 * (asked + _Z * _Z)) for sign in (-1, 1))
    return max(0.0, least), min(1.0, most)


def share(right: int, asked: int) -> Interval:
    """Right answers among those ``asked``, at least one, with `wilson`'s interval."""
    least, most = wilson(right, asked)
    return Interval(value=100 * right / asked, least=100 * least, most=100 * most)


def difference(gained: int, lost: int, asked: int) -> Interval:
    """How much more of the questions ``asked``, at least one, the second of two answers right than the first.

    ``gained`` are right by the second alone and ``lost`` by the first alone: the difference of two paired
    shares, with the interval of Agresti and Min (Statistics in Medicine 24, 2005), which is that of Wald with
    half an answer more of each kind.
    """
    n, more = asked + 2, gained - lost
    half = _Z * sqrt(gained + lost + 1 - more**2 / n) / n
    return Interval(value=100 * more / asked, least=100 * (more / n - half), most=100 * (more / n + half))
