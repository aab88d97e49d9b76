"""Text in columns. A name is never broken: one column gives way, or goes on lines of its own."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llada_core.cli.streams import line_of

__all__ = ["Column", "table", "wrapped"]

_GAP, _INDENT = "  ", "    "
_LEAST = 24  # a column that would be narrower goes on lines of its own
_Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table. One of a table may be the one that ``wraps``: its first or its last."""

    heading: str = ""
    right: bool = False
    wraps: bool = False


def table(columns: Sequence[Column], rows: Sequence[_Row], *, width: int | None = None) -> list[str]:
    """The lines of a table, its headings first if it has any; as long as ``width`` where names let them be.

    Without a width, every row is one line.
    """
    headings = [column.heading for column in columns]
    grid = [headings] if any(headings) else []
    grid += [[line_of(cell) for cell in row] for row in rows]
    sizes = [max(map(_size, cells), default=0) for cells in zip(*grid, strict=True)]
    flexible = next((index for index, column in enumerate(columns) if column.wraps), None)
    room = sum(sizes) if width is None else width - len(_GAP) * (len(sizes) - 1) - sum(sizes)
    if room >= 0:
        return [_line(columns, row, sizes) for row in grid]
    assert width is not None
    if flexible is not None and room + sizes[flexible] >= _LEAST:
        sizes[flexible] += room
        return [line for row in grid for line in _wrapping(columns, row, sizes, flexible)]
    if flexible is not None and room + sizes[flexible] >= 0:
        return [line for row in grid for line in _apart(columns, row, sizes, flexible, width)]
    return [line for row in grid[any(headings) :] for line in _record(headings, row, width)]


def wrapped(text: str, width: int | None) -> list[str]:
    """``text`` as lines of at most ``width`` columns, broken between words only; at least one line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and width is not None and _size(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _line(columns: Sequence[Column], row: _Row, sizes: Sequence[int]) -> str:
    cells = []
    for column, cell, size in zip(columns, row, sizes, strict=True):
        padding = " " * (size - _size(cell))
        cells.append(padding + cell if column.right else cell + padding)
    return _GAP.join(cells).rstrip()


def _wrapping(columns: Sequence[Column], row: _Row, sizes: Sequence[int], flexible: int) -> Iterator[str]:
    """The row with its flexible cell wrapped under itself."""
    for number, part in enumerate(wrapped(row[flexible], sizes[flexible])):
        cells = list(row) if number == 0 else [""] * len(row)
        cells[flexible] = part
        yield _line(columns, cells, sizes)


def _apart(
    columns: Sequence[Column], row: _Row, sizes: Sequence[int], flexible: int, width: int
) -> Iterator[str]:
    """The row with its flexible cell on lines of its own: above the others or beneath, indented."""
    kept = [index for index in range(len(row)) if index != flexible]
    others = _line([columns[i] for i in kept], [row[i] for i in kept], [sizes[i] for i in kept])
    if flexible == 0:
        yield from wrapped(row[flexible], width)
        yield (_INDENT + others).rstrip()
    else:
        yield others
        if row[flexible]:
            yield from (_INDENT + part for part in wrapped(row[flexible], width - len(_INDENT)))


def _record(headings: _Row, row: _Row, width: int) -> Iterator[str]:
    """The row as its first cell and, beneath it, the others with their headings."""
    yield row[0]
    for heading, cell in zip(headings[1:], row[1:], strict=True):
        if cell:
            told = f"{heading}: {cell}" if heading else cell
            yield from (_INDENT + part for part in wrapped(told, width - len(_INDENT)))


def _size(text: str) -> int:
    """Columns of a terminal that ``text`` takes."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
