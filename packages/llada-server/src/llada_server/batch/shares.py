"""Lines in shares: what one worker of several is handed at a time, and gives back answered.

This knows neither Ray nor files.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llada_server.batch.answering import Answered
from llada_server.batch.lines import Line
from llada_server.settings import ServerSettings

__all__ = ["Sizes", "answers_in", "lines_in", "packed", "shares"]

_MOST = 8  # lines of a share: the first of them to be answered wait for the last one
_LEAST = 4  # shares that a worker has in work: they take some time on their way
_TURNS = 4  # times that a worker gets as many lines as it decodes at a time, or its shares are smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How lines are shared out.

    Attributes:
        lines: of a share, at most. bytes: of a share, where it has more than one line.
        at_once: shares that a worker has in work: twice as many lines as it decodes at a time, so that others
            wait in its session when some end. all: shares that are on their way, of all workers together.
    """

    lines: int
    bytes: int
    at_once: int
    all: int

    @classmethod
    def of(cls, settings: ServerSettings, *, left: int, workers: int) -> Sizes:
        """For so many lines that are ``left``: of few, all workers get some."""
        rows = settings.max_num_seqs
        lines = max(1, min(_MOST, left // (workers * rows * _TURNS)))
        at_once = max(_LEAST, -(-2 * rows // lines))
        return cls(lines=lines, bytes=settings.max_body, at_once=at_once, all=2 * at_once * workers)


def shares(lines: Iterable[Line], sizes: Sizes) -> Iterator[list[Line]]:
    """The lines in their order, so many in a share."""
    share, size = list[Line](), 0
    for line in lines:
        length = len(line.text or b"")
        if share and (len(share) == sizes.lines or size + length > sizes.bytes):
            yield share
            share, size = [], 0
        share.append(line)
        size += length
    if share:
        yield share


def packed(share: Sequence[Line] | Sequence[Answered]) -> bytes:
    """A share as bytes, for another process of the same program."""
    return pickle.dumps(list(share))


def lines_in(share: bytes) -> list[Line]:
    """The lines of a share."""
    found: list[Line] = pickle.loads(share)
    return found


def answers_in(share: bytes) -> list[Answered]:
    """What became of the lines of a share."""
    found: list[Answered] = pickle.loads(share)
    return found
