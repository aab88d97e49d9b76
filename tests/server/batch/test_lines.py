"""Lines of files as they come: ends, marks, blanks, and what is too long to be held."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest

from llada_server.batch.lines import Line, lines_of


def read(text: bytes, most: int = 10) -> list[Line]:
    return list(lines_of(io.BytesIO(text), most=most))


@pytest.mark.parametrize("text", [b"ab\ncd\n", b"ab\r\ncd\r\n", b"ab\ncd", b"\xef\xbb\xbfab\ncd\n"])
def test_ends_and_marks_are_no_part_of_lines(text: bytes) -> None:
    assert read(text) == [Line(1, b"ab"), Line(2, b"cd")]


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert read(b"\n  \nab\n\r\ncd\n\n") == [Line(3, b"ab"), Line(5, b"cd")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("length", range(8, 40))
def test_a_line_is_whole_or_not_there(length: int, end: bytes) -> None:
    text = b"x" * length
    expected = Line(1, text if length <= 10 else None)
    assert read(text + end) == [expected]
    if end:
        assert read(text + end + b"y" + end) == [expected, Line(2, b"y")]


def test_a_line_of_100_mb_is_not_held(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as out:
        out.truncate(100 * 10**6)
        out.seek(0, io.SEEK_END)
        out.write(b"\nab\n")
    with file.open("rb") as lines:
        tracemalloc.start()
        try:
            assert list(lines_of(lines, most=1000)) == [Line(1, None), Line(2, b"ab")]
            assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        finally:
            tracemalloc.stop()
