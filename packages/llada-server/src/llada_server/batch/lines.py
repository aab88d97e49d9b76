"""The lines of a file, one after the other: none is held that is too long, and only one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Line", "lines_of"]

_BOM = b"\xef\xbb\xbf"
_END = b"\r\n"
_PART = 2**20  # bytes of a line that is passed over, at a time


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; ``number`` counts from 1. ``text`` is None where it is longer than allowed."""

    number: int
    text: bytes | None


def lines_of(file: BinaryIO, *, most: int) -> Iterator[Line]:
    """The lines of at most ``most`` bytes, and where longer ones stand; blank ones are passed over.

    Ends are LF or CRLF, and a byte order mark before the first line is left out.
    """
    room, number = most + len(_END) + len(_BOM), 0
    while read := file.readline(room):
        number += 1
        if number == 1:
            read = read.removeprefix(_BOM)
        whole = read.endswith(b"\n") or not _pass_over(file)
        text = read.rstrip(_END)
        if not whole or len(text) > most:
            yield Line(number, None)
        elif text.strip():
            yield Line(number, text)


def _pass_over(file: BinaryIO) -> bool:
    """Read on to behind the end of the line; whether there was more of it."""
    more = False
    while read := file.readline(_PART):
        more = more or bool(read.rstrip(_END))
        if read.endswith(b"\n"):
            break
    return more
