"""Where the names of points stand in a picture, so that none lies on another, on a point or on a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Dot", "Line", "NoRoom", "place"]

_NEAR = 10  # pixels from a point to its name at first
_FARTHER, _AT_LEAST = 1.1, 5  # where there is no room: so many times as far, or so many pixels farther
_REACH = 0.45  # how far at most, of the picture's shorter side
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
        begin, stop = 0.0, 1.0  # the stretch of the line that is inside so far
        for at, to, least, most in (
            (start[0], end[0], self.left, self.right),
            (start[1], end[1], self.bottom, self.top),
        ):
            if at == to:
                if not least < at < most:
                    return False
                continue
            first, last = sorted(((least - at) / (to - at), (most - at) / (to - at)))
            begin, stop = max(begin, first), min(stop, last)
        return begin < stop


def place(
    points: Sequence[Dot],
    sizes: Sequence[tuple[float, float]],
    area: Box,
    *,
    besides: Sequence[Dot] = (),
    drawn: Sequence[Line] = (),
    crossing: bool = False,
) -> list[Box]:
    """Where the names of ``points`` stand, in ``area``: none on another, on a point or on a line.

    ``besides`` are points without a name. Lines are those ``drawn`` and those from points to their names;
    the latter run through no other point either. ``crossing`` lets them run through names and points. In the
    order of the points: the first is placed first, and so stands nearest. Raises ``NoRoom``.
    """
    dots = [Box.around(point, 2 * _RADIUS, 2 * _RADIUS) for point in (*points, *besides)]
    placed: list[Box] = []
    for point, dot, (width, height) in zip(points, dots[: len(points)], sizes, strict=True):
        to_names = [(start, box.nearest(start)) for start, box in zip(points, placed, strict=False)]
        apart = [other for other in dots if not other.overlaps(dot)]
        lines = [*drawn, *([] if crossing else to_names)]
        barriers = [] if crossing else [*placed, *apart]
        for box in _candidates(point, width + 2 * _MARGIN, height + 2 * _MARGIN, area):
            free = area.holds(box) and not any(box.overlaps(other) for other in (*placed, *dots))
            if free and _keeps_clear(box, point, barriers, lines):
                placed.append(box)
                break
        else:
            raise NoRoom(f"no room for the name of the point at {point}; make the picture larger")
    return placed


def _keeps_clear(box: Box, point: Dot, barriers: Sequence[Box], lines: Sequence[Line]) -> bool:
    """Whether no line runs through the box, and its own, from the point, through no barrier."""
    mine = (point, box.nearest(point))
    return not any(box.is_cut_by(*line) for line in lines) and not any(
        barrier.is_cut_by(*mine) for barrier in barriers
    )


def _candidates(point: Dot, width: float, height: float, area: Box) -> Iterator[Box]:
    """Places around the point, the nearest first, those to its right before others."""
    for reach in _reaches(_REACH * min(area.right - area.left, area.top - area.bottom)):
        for turn in range(_ANGLES):
            angle = (turn + 1) // 2 * (-1) ** turn * 2 * math.pi / _ANGLES
            x = point[0] + math.cos(angle) * (reach + width / 2)
            y = point[1] + math.sin(angle) * (reach + height / 2)
            yield Box.around((x, y), width, height)


def _reaches(most: float) -> Iterator[float]:
    reach = float(_NEAR)
    while reach <= most:
        yield reach
        reach = max(reach + _AT_LEAST, reach * _FARTHER)
