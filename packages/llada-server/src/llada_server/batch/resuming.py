"""What an input asks and what its output has of it already, read before a model is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from llada_core.errors import UsageError
from llada_server.batch.entries import Unusable, named
from llada_server.batch.index import Index
from llada_server.batch.lines import Line, lines_of
from llada_server.batch.output import Output
from llada_server.batch.tally import Tally
from llada_server.batch.wire import AnswerLine, shown

__all__ = ["Left", "Taken", "marked", "take_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was read of an input: a digest of its lines, and how many are longer than ``most`` bytes."""

    digest: bytes
    longer: int
    most: int


def take_in(index: Index, file: BinaryIO, source: Path, *, most: int) -> Taken:
    """Read through an input. Raises ``UsageError`` where two lines are called the same, and where there is
    none."""
    digest, longer = _Digest(), 0
    for line in lines_of(file, most=most):
        index.add(line.number, _custom_id(line, most))
        digest.take(line)
        longer += line.text is None
    index.added()
    if not index.count:
        raise UsageError(f"{source} has no line; write a request a line")
    return Taken(digest=digest.value, longer=longer, most=most)


def _custom_id(line: Line, most: int) -> str | None:
    try:
        return named(line, most=most).custom_id
    except Unusable:
        return None


def marked(index: Index, taken: Taken, output: Output, source: Path) -> Tally:
    """The figures at the beginning, once the lines that the output has are marked as done.

    Raises ``UsageError`` for an output that is another input's, or none.
    """
    failed = 0
    for number, text in enumerate(output.lines(), 1):
        answer = _answer(text, number, output.path)
        line = _line_of(answer, index)
        if line is None:
            if answer.custom_id is None:  # of a line that was mended
                continue
            raise UsageError(
                f"line {number} of {output.path} answers {_called(answer)}, which {source} does not have; "
                f"{_longer(taken)}give the input that it was begun with, or another --out"
            )
        if not index.mark(line):
            raise UsageError(
                f"line {number} of {output.path} answers {_called(answer)} once more; give another --out"
            )
        failed += answer.response is None or answer.response.status_code != 200
    return Tally(count=index.count, before=index.done, failed=failed)


def _longer(taken: Taken) -> str:
    """What else may be the matter where a line is not found."""
    if not taken.longer:
        return ""
    return f"raise --max-body, as {taken.longer} of its lines have more than {taken.most} bytes, or "


class Left:
    """The lines of an input that are not done, read once more; none that came to it meanwhile.

    Attributes:
        same: whether, read to its end, it had the lines that were ``taken`` in. False before.
    """

    def __init__(self, file: BinaryIO, index: Index, taken: Taken) -> None:
        self._file, self._index, self._taken = file, index, taken
        self.same = False

    def __iter__(self) -> Iterator[Line]:
        self._file.seek(0)
        digest = _Digest()
        for line in lines_of(self._file, most=self._taken.most):
            if line.number > self._index.last:
                break
            digest.take(line)
            if not self._index.is_done(line.number):
                yield line
        self.same = digest.value == self._taken.digest


class _Digest:
    """Of lines, but for what is in those that are too long."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def take(self, line: Line) -> None:
        self._hash.update(b"%d %d\n%b\n" % (line.number, line.text is None, line.text or b""))

    @property
    def value(self) -> bytes:
        return self._hash.digest()


def _answer(text: bytes, number: int, path: Path) -> AnswerLine:
    try:
        answer = AnswerLine.model_validate_json(text)
        told = answer.custom_id is not None or answer.error is not None
        if told and answer.id.startswith("batch_req_"):
            return answer
    except ValidationError:
        pass
    raise UsageError(f"line {number} of {path} is no answer of a batch; give another --out")


def _line_of(answer: AnswerLine, index: Index) -> int | None:
    """Which line of the input it answers; None where it is none that stands there."""
    if answer.custom_id is not None:
        return index.line_of(answer.custom_id)
    assert answer.error is not None
    return answer.error.line if index.is_nameless(answer.error.line) else None


def _called(answer: AnswerLine) -> str:
    if answer.custom_id is not None:
        return f"custom_id {shown(answer.custom_id)}"
    assert answer.error is not None
    return f"line {answer.error.line}"
