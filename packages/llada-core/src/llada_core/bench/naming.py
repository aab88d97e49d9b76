"""Where the names of points stand in a picture, so that none lies on another, on a point or on a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Dot", "Line", "NoRoom", "place"]

_REACH = range(10, 300, 5)  # how far from its point a name may stand, in pixels
_ANGLES = 24
_MARGIN = 3  # pixels between two names
_RADIUS = 6  # pixels of a point that names keep free

Dot = tuple[float, float]
Line = tuple[Dot, Dot]


class NoRoom(ValueError):
    """A name has no place in a picture of this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, centre: Dot, width: float, height: float) -> Box:
        """The rectangle of this size about a point."""
        x, y = centre
        return cls(left=x - width / 2, right=x + width / 2, bottom=y - height / 2, top=y + height / 2)

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def holds(self, other: Box) -> bool:
        """Whether the other lies within this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.bottom <= other.bottom and other.top <= self.top

    def nearest(self, point: Dot) -> Dot:
        """The point of the box that is closest to another."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def is_cut_by(self, start: Dot, end: Dot) -> bool:
        """Whether the line between two points runs through the box."""
        steps = max(2, int(math.dist(start, end)))
        along = (step / steps for step in range(steps + 1))
        places = ((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in along)
        return any(self.left < x < self.right and self.bottom < y < self.top for x, y in places)


def place(
    points: Sequence[Dot], sizes: Sequence[tuple[float, float]], area: Box, *, drawn: Sequence[Line] = ()
) -> list[Box]:
    """Where the names of ``points`` stand, in ``area``: none on another, on a point or on a line.

    Lines are those ``drawn`` and those from points to their names. In the order of the points: the first is
    placed first, and so stands nearest. Raises ``NoRoom``.
    """
    dots = [Box.around(point, 2 * _RADIUS, 2 * _RADIUS) for point in points]
    placed: list[Box] = []
    for point, (width, height) in zip(points, sizes, strict=True):
        lines = [*drawn, *((dot, box.nearest(dot)) for dot, box in zip(points, placed, strict=False))]
        for box in _candidates(point, width + 2 * _MARGIN, height + 2 * _MARGIN):
            line = (point, box.nearest(point))
            taken = any(box.overlaps(other) for other in (*placed, *dots))
            if taken or not area.holds(box) or any(other.is_cut_by(*line) for other in placed):
                continue
            if not any(box.is_cut_by(*other) for other in lines):
                placed.append(box)
                break
        else:
            raise NoRoom(f"no room for the name of the point at {point}; make the picture larger")
    return placed


def _candidates(point: Dot, width: float, height: float) -> Iterator[Box]:
    """Places around the point, the nearest first, those to its right before others."""
    for reach in _REACH:
        for turn in range(_ANGLES):
            angle = (turn + 1) // 2 * (-1) ** turn * 2 * math.pi / _ANGLES
            x = point[0] + math.cos(angle) * (reach + width / 2)
            y = point[1] + math.sin(angle) * (reach + height / 2)
            yield Box.around((x, y), width, height)
