"""How sure shares of right answers are: the interval of one, and that of the difference of a pair.

Both hold in 95 % of all samples of questions, and say nothing of which questions those are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

__all__ = ["Interval", "difference", "share"]

_Z = 1.959964  # standard deviations that enclose 95 % of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure in percent, with the ``least`` and the ``most`` that it may be."""

    value: float
    least: float
    most: float


def share(right: int, asked: int) -> Interval:
    """Right answers among those ``asked``, at least one: Wilson's score interval (JASA 22, 1927)."""
    found, n = right / asked, asked + _Z**2
    middle = (right + _Z**2 / 2) / n
    half = _Z * sqrt(asked * found * (1 - found) + _Z**2 / 4) / n
    return Interval(value=100 * found, least=100 * (middle - half), most=100 * (middle + half))


def difference(gained: int, lost: int, asked: int) -> Interval:
    """How much more of the questions ``asked``, at least one, the second of two answers right than the first.

    ``gained`` are right by the second alone and ``lost`` by the first alone: the difference of two paired
    shares, with the interval of Agresti and Min (Statistics in Medicine 24, 2005), which is that of Wald with
    half an answer more of each kind.
    """
    n, more = asked + 2, gained - lost
    half = _Z * sqrt(gained + lost + 1 - more**2 / n) / n
    return Interval(value=100 * more / asked, least=100 * (more / n - half), most=100 * (more / n + half))
