"""Accuracy against speed, one named point a case, and the front: drawn by matplotlib, of the extra ``plot``.

It writes to the file that it is given and to no other, and changes no setting of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, Literal

from llada_core.bench.fronts import Point, front, staircase
from llada_core.bench.naming import Box, Dot, Line, NoRoom, place
from llada_core.errors import UsageError
from llada_core.imports import load_target

__all__ = ["SUFFIXES", "check_can_plot", "plot"]

SUFFIXES = (".png", ".svg", ".pdf")
_COLOURS = (
    "tab:gray",
    "tab:olive",
    "tab:green",
    "tab:blue",
    "tab:red",
    "tab:purple",
    "tab:cyan",
    "tab:brown",
    "tab:pink",
    "black",
)
_MARKS = ("o", "D", "s", "^", "v", "P", "X")  # no divisor in common with the colours: pairs repeat late
_FRONT = "front: beaten by no other"
_INCHES = (10.0, 6.5)
_DOTS = 150  # an inch
_COLUMNS = 7  # of the legend, at most
_POINTS, _HANDLE = 5.0, 40  # of a letter of the legend, and of what stands beside a name
# Times that size, and whether lines may run through names, until every name has a place.
_TRIES = ((1.0, False), (1.4, False), (2.0, False), (2.0, True), (2.8, True), (4.0, True))
_ROOM = 1.0  # percent above and below the points, at least
_Look = dict[str, tuple[str, str]]

Scale = Literal["linear", "log", "cost"]
"""What is across: speeds, speeds by their logarithm, or, by that too, 1 / speed, less to the right."""
Named = Literal["all", "front"]
"""Which points have their names beside them."""


def check_can_plot(path: Path) -> None:
    """Refuse a file that ``plot`` could not write. Raises ``UsageError``."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is no picture that can be drawn; end its name in {', '.join(SUFFIXES)}")
    try:
        load_target("matplotlib.figure:Figure")
    except ImportError as exc:
        raise UsageError(
            f"{path} needs matplotlib, which is not installed; pip install 'llada-core[plot]'"
        ) from exc


def plot(
    points: Sequence[Point],
    path: Path,
    *,
    across: str,
    up: str,
    scale: Scale = "linear",
    named: Named = "all",
    series: Sequence[str] = (),
) -> None:
    """Write the picture as PNG, SVG or PDF: the same points give the same file.

    ``across`` and ``up`` say what the axes are; a point whose accuracy is enclosed has a bar from least to
    most. Colours and marks go by the order of ``series``, and then by that of the points: those of several
    pictures are the same by the same ``series``, whichever of them have points. The picture grows until all
    that are ``named`` have their names. Raises ``UsageError`` for another kind of file, and where 16 times
    the room is not enough for the names.
    """
    check_can_plot(path)
    kind = path.suffix.lower().removeprefix(".")
    unchanging = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    looks = _looks(points, series)
    with load_target("matplotlib:rc_context")({"svg.hashsalt": "llada"}):
        for factor, crossing in _TRIES:
            figure = _figure(factor)
            try:
                axes = _draw(figure, points, scale, looks)
                axes.set(xlabel=across, ylabel=up)
                _name(figure, axes, points, looks, named, crossing)
            except NoRoom:
                continue
            figure.savefig(path, format=kind, metadata=unchanging)
            return
    raise UsageError(f"{len(points)} names have no place in one picture; plot fewer settings")


def _figure(factor: float) -> Any:
    """An empty figure, so many times as large as usual."""
    inches = (_INCHES[0] * factor, _INCHES[1] * factor)
    figure = load_target("matplotlib.figure:Figure")(figsize=inches, dpi=_DOTS, layout="constrained")
    load_target("matplotlib.backends.backend_agg:FigureCanvasAgg")(figure)
    return figure


def _draw(figure: Any, points: Sequence[Point], scale: Scale, looks: _Look) -> Any:
    """The axes with all points, their bars and the front."""
    axes = figure.subplots()
    if scale != "linear":
        _by_logarithm(axes, scale)
    axes.margins(0.08)
    ends = [end for point in points for end in (point.least, point.most) if end is not None]
    low, high = _limits([*ends, *(point.accuracy for point in points)])
    axes.set_ylim(low, high)
    axes.set_yticks([tick for tick in axes.get_yticks() if max(low, 0) <= tick <= min(high, 100)])
    axes.grid(alpha=0.25)
    axes.plot(*zip(*staircase(front(points)), strict=True), color="tab:orange", zorder=1, label=_FRONT)
    for name, (colour, mark) in looks.items():
        mine = [point for point in points if point.series == name]
        places = ([point.speed for point in mine], [point.accuracy for point in mine])
        axes.scatter(*places, color=colour, marker=mark, s=28, label=name, zorder=3)
        for point in mine:
            if point.least is not None and point.most is not None:
                axes.vlines(point.speed, point.least, point.most, color=colour, linewidth=0.8, alpha=0.5)
    across = _legend_columns([_FRONT, *looks], 72 * figure.get_size_inches()[0])
    figure.legend(fontsize=8, loc="outside upper center", ncols=across)
    return axes


def _legend_columns(names: Sequence[str], width: float) -> int:
    """In how many columns the names of a legend stand that is so many points wide; it is filled by column."""
    for count in range(min(len(names), _COLUMNS), 1, -1):
        ends = [len(names) * number // count for number in range(count + 1)]
        chunks = [names[begin:end] for begin, end in pairwise(ends)]
        if sum(_POINTS * max(map(len, chunk)) + _HANDLE for chunk in chunks) <= width:
            return count
    return 1


def _looks(points: Sequence[Point], series: Sequence[str]) -> _Look:
    """Colour and mark of each series that has points, by the order of ``series`` first."""
    drawn = dict.fromkeys(point.series for point in points)
    every = dict.fromkeys([*series, *drawn])
    looks = zip(every, zip(cycle(_COLOURS), cycle(_MARKS), strict=False), strict=False)
    return {name: look for name, look in looks if name in drawn}


def _by_logarithm(axes: Any, scale: Scale) -> None:
    """Let what is across be so, with ticks at 1, 2 and 5; these are costs where the inverse is told."""
    ticker = load_target("matplotlib.ticker:LogLocator")(subs=(1.0, 2.0, 5.0))
    told = (lambda at, _: f"{1 / at:g}") if scale == "cost" else (lambda at, _: f"{at:g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker)
    axes.xaxis.set_major_formatter(load_target("matplotlib.ticker:FuncFormatter")(told))
    axes.xaxis.set_minor_locator(load_target("matplotlib.ticker:NullLocator")())


def _name(
    figure: Any, axes: Any, points: Sequence[Point], looks: _Look, named: Named, crossing: bool
) -> None:
    """Name each point or those of the front, these in bold, with a line to it where the name stands apart.

    Raises ``NoRoom``.
    """
    best = front(points)
    others = [point for point in points if point not in best]
    ordered, nameless = ([*best, *others], []) if named == "all" else (best, others)
    figure.canvas.draw()
    # What is drawn from here on has its place in pixels: nothing may move any more.
    figure.set_layout_engine("none")
    axes.autoscale(False)
    look = {"fontsize": 7, "ha": "center", "va": "center", "parse_math": False}
    texts = [
        axes.text(0, 0, each.name, weight="bold" if each in best else "normal", **look) for each in ordered
    ]
    dots, besides = ([_dot(axes, each) for each in group] for group in (ordered, nameless))
    drawn = _lines(axes, best)
    boxes = place(dots, _sizes(figure, texts), _inside(axes), besides=besides, drawn=drawn, crossing=crossing)
    to_data = axes.transData.inverted().transform
    for each, text, dot, box in zip(ordered, texts, dots, boxes, strict=True):
        text.set_position(to_data(((box.left + box.right) / 2, (box.bottom + box.top) / 2)))
        start, end = to_data(dot), to_data(box.nearest(dot))
        colour = looks[each.series][0]
        axes.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=0.5, alpha=0.7, zorder=2)


def _dot(axes: Any, point: Point) -> Dot:
    """Where the point is, in pixels."""
    x, y = axes.transData.transform((point.speed, point.accuracy))
    return x, y


def _limits(accuracies: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: all percents where the points differ in none, as there is nothing to enlarge."""
    low, high = min(accuracies), max(accuracies)
    if low == high:
        low, high = 0.0, 100.0
    room = max(_ROOM, 0.08 * (high - low))
    return low - room, high + room


def _sizes(figure: Any, texts: Sequence[Any]) -> list[tuple[float, float]]:
    extents = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]
    return [(each.width, each.height) for each in extents]


def _inside(axes: Any) -> Box:
    """The frame, in pixels, but for its line."""
    frame = axes.get_window_extent()
    return Box(left=frame.x0 + 2, right=frame.x1 - 2, bottom=frame.y0 + 2, top=frame.y1 - 2)


def _lines(axes: Any, best: Sequence[Point]) -> list[Line]:
    """The front's, in pixels."""
    corners = [tuple(axes.transData.transform(corner)) for corner in staircase(best)]
    return list(pairwise(corners))
