"""Points of accuracy and speed, and those among them that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Point", "front", "staircase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a case reached: its ``speed``, of which more is better, and its ``accuracy`` in percent.

    ``series`` is what it shares its colour with. ``least`` and ``most`` enclose the accuracy, where that is
    known.
    """

    name: str
    series: str
    speed: float
    accuracy: float
    least: float | None = None
    most: float | None = None

    def beats(self, other: Point) -> bool:
        """Whether it is at least as good in both figures, and better in one."""
        pairs = ((self.accuracy, other.accuracy), (self.speed, other.speed))
        return all(one >= another for one, another in pairs) and any(one > another for one, another in pairs)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats, from the fastest to the slowest."""
    kept = [point for point in points if not any(other.beats(point) for other in points)]
    return sorted(kept, key=lambda point: -point.speed)


def staircase(best: Sequence[Point]) -> list[tuple[float, float]]:
    """The corners of a front: how good an answer can be at such a speed at least."""
    corners: list[tuple[float, float]] = []
    for point in best:
        if corners:
            corners.append((point.speed, corners[-1][1]))
        corners.append((point.speed, point.accuracy))
    return corners
