"""Tables of the command line: names stay whole, lines stay within the terminal."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from llada_core.cli.tables import Column, table, wrapped

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,30}", fullmatch=True)
WORDS = st.text("abcdefg äß模型;()", max_size=120)
COLUMNS = (Column(heading="name"), Column(heading="owner"), Column(heading="why", wraps=True))
ROWS = st.lists(st.tuples(NAMES, NAMES, WORDS), min_size=1, max_size=6)
WIDTHS = st.integers(20, 120)


@given(ROWS, WIDTHS)
def test_names_are_never_broken(rows: list[tuple[str, str, str]], width: int) -> None:
    text = "\n".join(table(COLUMNS, rows, width=width))
    for name, owner, _ in rows:
        for whole in (name, owner):
            assert re.search(rf"(^|\s){re.escape(whole)}($|\s)", text, flags=re.MULTILINE)


@given(ROWS, WIDTHS)
def test_no_line_is_longer_than_the_terminal_but_for_a_word(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    columns = [COLUMNS[0], COLUMNS[1], Column(heading="why", wraps=True)]
    plain = [(name, owner, re.sub(r"[模型]", "x", why)) for name, owner, why in rows]
    for line in table(columns, plain, width=width):
        assert len(line) <= width or len(line.split()) == 1 or len(max(line.split(), key=len)) > width - 12


@given(ROWS, WIDTHS)
def test_nothing_of_a_cell_is_lost(rows: list[tuple[str, str, str]], width: int) -> None:
    words = " ".join(table(COLUMNS, rows, width=width)).split()
    for row in rows:
        for cell in row:
            assert all(word in words for word in cell.split())


@given(ROWS)
def test_without_a_terminal_every_row_is_one_line(rows: list[tuple[str, str, str]]) -> None:
    assert len(table(COLUMNS, rows)) == 1 + len(rows)


def test_text_wraps_under_itself() -> None:
    rows = [("basic", "fast-dllm", "every step is a forward of the whole canvas")]
    assert table(COLUMNS, rows, width=42) == [
        "name   owner      why",
        "basic  fast-dllm  every step is a forward",
        "                  of the whole canvas",
    ]


def test_text_without_room_goes_on_lines_of_its_own() -> None:
    rows = [("basic", "fast-dllm", "every step is a forward")]
    assert table(COLUMNS, rows, width=30) == [
        "name   owner",
        "    why",
        "basic  fast-dllm",
        "    every step is a forward",
    ]
    first = (Column(heading="setting", wraps=True), Column(heading="NFE", right=True), Column(heading="s"))
    assert table(first, [("dual_cache threshold=0.5", "12", "0.25")], width=28) == [
        "setting",
        "    NFE  s",
        "dual_cache threshold=0.5",
        "     12  0.25",
    ]


def test_names_without_room_go_on_lines_of_their_own() -> None:
    rows = [("an_algorithm_with_a_long_name", "somebodys-engine", "text of it")]
    assert table(COLUMNS, rows, width=32) == [
        "an_algorithm_with_a_long_name",
        "    owner: somebodys-engine",
        "    why: text of it",
    ]


def test_wide_characters_take_two_columns() -> None:
    assert table((Column(heading="a"), Column(heading="b")), [("模型", "x"), ("abcd", "y")]) == [
        "a     b",
        "模型  x",
        "abcd  y",
    ]


def test_a_word_that_is_too_long_stays_whole() -> None:
    assert wrapped("a /very/long/path b", 6) == ["a", "/very/long/path", "b"]
