"""What an input asks and what its output has of it already, read before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from llada_core.errors import UsageError
from llada_server.batch.entries import Unusable, named
from llada_server.batch.index import Index
from llada_server.batch.lines import Line, lines_of
from llada_server.batch.output import Output
from llada_server.batch.tally import Tally
from llada_server.batch.wire import shown

__all__ = ["left", "marked", "take_in"]


def take_in(index: Index, file: BinaryIO, source: Path, *, most: int) -> None:
    """Read through an input. Raises ``UsageError`` where two lines are called the same, and where there is
    none."""
    for line in lines_of(file, most=most):
        index.add(line.number, _custom_id(line, most))
    index.added()
    if not index.count:
        raise UsageError(f"{source} has no line; write a request a line")


def _custom_id(line: Line, most: int) -> str | None:
    try:
        return named(line, most=most).custom_id
    except Unusable:
        return None


def marked(index: Index, output: Output, source: Path) -> Tally:
    """The figures at the beginning, once the lines that the output has are marked as done.

    Raises ``UsageError`` for an output that is another input's, or none.
    """
    failed = 0
    for number, text in enumerate(output.lines(), 1):
        told = _answer(text, number, output.path)
        line = _line_of(told, index)
        if line is None:
            if told["custom_id"] is None:  # of a line that was mended
                continue
            raise UsageError(
                f"line {number} of {output.path} answers {_shown(told)}, which {source} does not have; give "
                "the input that it was begun with, or another --out"
            )
        if not index.mark(line):
            raise UsageError(
                f"line {number} of {output.path} answers {_shown(told)} once more; give another --out"
            )
        failed += (told.get("response") or {}).get("status_code") != 200
    return Tally(count=index.count, before=index.done, failed=failed)


def left(file: BinaryIO, index: Index, *, most: int) -> Iterator[Line]:
    """The lines of an input that are not done, read once more; none that came to it meanwhile."""
    file.seek(0)
    for line in lines_of(file, most=most):
        if line.number > index.last:
            return
        if not index.is_done(line.number):
            yield line


def _answer(text: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        told = json.loads(text)
        if str(told["id"]).startswith("batch_req_") and isinstance(told["custom_id"], str | None):
            return dict(told)
    except (ValueError, TypeError, KeyError):
        pass
    raise UsageError(f"line {number} of {path} is no answer of a batch; give another --out")


def _line_of(told: dict[str, Any], index: Index) -> int | None:
    """Which line of the input it answers; None where it is none that stands there."""
    if told["custom_id"] is not None:
        return index.line_of(told["custom_id"])
    line = (told.get("error") or {}).get("line")
    return line if isinstance(line, int) and index.is_nameless(line) else None


def _shown(told: dict[str, Any]) -> str:
    if told["custom_id"] is None:
        return f"line {told['error']['line']}"
    return f"custom_id {shown(told['custom_id'])}"
