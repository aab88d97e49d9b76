"""Accuracy against tokens per forward, one point a setting: the front, and labels that do not overlap.

This module does not know where figures come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

MARKS = {
    "basic": ("tab:gray", "o"),
    "prefix_cache": ("tab:olive", "D"),
    "dual_cache": ("tab:green", "s"),
    "dinfer_blockwise": ("tab:blue", "^"),
    "dinfer_hierarchy": ("tab:red", "v"),
    "dinfer_credit": ("tab:purple", "P"),
}
REACH = range(8, 200, 4)  # how far from its point a label may stand, in pixels
ANGLES = 24
FRONT = "front: no other is better in both"
MARGIN = 2  # pixels between two labels
RADIUS = 4  # pixels of a point that labels keep free


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting over all families; ``exact`` is the mean of the families' percentages."""

    setting: str
    algorithm: str
    parameters: Mapping[str, object]
    exact: float
    word_problems: float
    nfe: float
    tokens_per_forward: float
    seconds: float


Point = tuple[float, float]
Line = tuple[Point, Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> Box:
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

    def nearest(self, point: Point) -> Point:
        """The point of the box that is closest to another."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def is_cut_by(self, start: Point, end: Point) -> bool:
        """Whether the line between two points runs through the box."""
        steps = max(2, int(math.dist(start, end)))
        along = (step / steps for step in range(steps + 1))
        places = ((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in along)
        return any(self.left < x < self.right and self.bottom < y < self.top for x, y in places)


def front(rows: Sequence[Row]) -> list[Row]:
    """The settings that no other one beats: at least as good in both figures and better in one.

    From the most tokens per forward to the fewest.
    """

    def beats(one: Row, other: Row) -> bool:
        pairs = ((one.exact, other.exact), (one.tokens_per_forward, other.tokens_per_forward))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    kept = [row for row in rows if not any(beats(other, row) for other in rows)]
    return sorted(kept, key=lambda row: -row.tokens_per_forward)


def place(
    points: Sequence[Point], sizes: Sequence[tuple[float, float]], area: Box, *, drawn: Sequence[Line] = ()
) -> list[Box]:
    """Where the labels of ``points`` stand, in ``area``: none on another, on a point or on a line.

    Lines are those ``drawn`` and those from points to their labels. In the order of the points: the first is
    placed first, and so stands nearest. Raises ``ValueError`` where there is no room.
    """
    dots = [Box.around(point, 2 * RADIUS, 2 * RADIUS) for point in points]
    placed: list[Box] = []
    for point, (width, height) in zip(points, sizes, strict=True):
        lines = [*drawn, *((dot, box.nearest(dot)) for dot, box in zip(points, placed, strict=False))]
        for box in _candidates(point, width + 2 * MARGIN, height + 2 * MARGIN):
            line = (point, box.nearest(point))
            taken = any(box.overlaps(other) for other in (*placed, *dots))
            crossed = any(box.is_cut_by(*other) for other in lines)
            crosses = any(other.is_cut_by(*line) for other in placed)
            if area.holds(box) and not (taken or crossed or crosses):
                placed.append(box)
                break
        else:
            raise ValueError(f"no room for the label of the point at {point}; make the figure larger")
    return placed


def staircase(best: Sequence[Row]) -> list[Point]:
    """The corners of the front: how good an answer can be with so many tokens per forward at least."""
    corners: list[Point] = []
    for row in best:
        if corners:
            corners.append((row.tokens_per_forward, corners[-1][1]))
        corners.append((row.tokens_per_forward, row.exact))
    return corners


def _candidates(point: Point, width: float, height: float) -> Iterator[Box]:
    """Places around the point, the nearest first, those to its right before others."""
    for reach in REACH:
        for turn in range(ANGLES):
            angle = (turn + 1) // 2 * (-1) ** turn * 2 * math.pi / ANGLES
            x = point[0] + math.cos(angle) * (reach + width / 2)
            y = point[1] + math.sin(angle) * (reach + height / 2)
            yield Box.around((x, y), width, height)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Write the plot as SVG: the same rows give the same file."""
    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "llada"
    from matplotlib import pyplot  # after the backend is chosen

    figure, axes = pyplot.subplots(figsize=(10, 6.5), layout="constrained")
    axes.set(xlabel="answer tokens per forward", ylabel="exact answers, % (mean over families)")
    axes.margins(0.08)
    axes.grid(alpha=0.25)
    axes.plot(*zip(*staircase(front(rows)), strict=True), color="tab:orange", zorder=1, label=FRONT)
    for algorithm, (colour, mark) in MARKS.items():
        mine = [row for row in rows if row.algorithm == algorithm]
        across, up = [row.tokens_per_forward for row in mine], [row.exact for row in mine]
        axes.scatter(across, up, color=colour, marker=mark, s=28, label=algorithm, zorder=3)
    axes.legend(fontsize=8, loc="lower left")
    _label(figure, axes, rows)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _label(figure: Any, axes: Any, rows: Sequence[Row]) -> None:
    """Name each point, those of the front in bold, with a line to it where the name stands apart."""
    figure.canvas.draw()
    best = front(rows)
    ordered = [*best, *(row for row in rows if row not in best)]
    look = {"fontsize": 7, "ha": "center", "va": "center"}
    texts = [
        axes.text(0, 0, row.setting, weight="bold" if row in best else "normal", **look) for row in ordered
    ]
    corners = [tuple(axes.transData.transform(corner)) for corner in staircase(best)]
    points = [tuple(axes.transData.transform((row.tokens_per_forward, row.exact))) for row in ordered]
    extents = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]
    legend = axes.get_legend().get_window_extent()
    frame = axes.get_window_extent()
    area = Box(left=frame.x0 + 2, right=frame.x1 - 2, bottom=frame.y0 + 2, top=frame.y1 - 2)
    assert all(legend.x1 < x or legend.y1 < y for x, y in points), "the legend covers a point"
    sizes = [(each.width, each.height) for each in extents]
    boxes = place(points, sizes, area, drawn=list(pairwise(corners)))
    to_data = axes.transData.inverted().transform
    for row, text, point, box in zip(ordered, texts, points, boxes, strict=True):
        text.set_position(to_data(((box.left + box.right) / 2, (box.bottom + box.top) / 2)))
        start, end = to_data(point), to_data(box.nearest(point))
        colour = MARKS[row.algorithm][0]
        axes.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=0.5, alpha=0.7, zorder=2)
