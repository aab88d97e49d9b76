"""Which lines there are, and which are done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from llada_core.errors import UsageError
from llada_server.batch import index as module
from llada_server.batch.index import Index


@pytest.fixture(params=[1, 3, 10_000])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(module, "_AT_ONCE", request.param)
    made = Index()
    yield made
    made.close()


def test_lines_are_found_by_their_ids_and_marked_once(index: Index) -> None:
    for line, custom_id in [(1, "a"), (2, None), (4, "b"), (1000, "c")]:
        index.add(line, custom_id)
    index.added()
    assert (index.count, index.last) == (4, 1000)
    assert [index.line_of(each) for each in ("a", "b", "c", "d")] == [1, 4, 1000, None]
    assert [each for each in range(1001) if index.is_nameless(each)] == [2]
    assert index.mark(4)
    assert index.mark(1000)
    assert not index.mark(4)
    assert [each for each in range(1001) if index.is_done(each)] == [4, 1000]
    assert index.done == 2


@pytest.mark.parametrize("first", [1, 2, 6])
def test_two_lines_that_are_called_the_same_are_refused_with_their_numbers(index: Index, first: int) -> None:
    with pytest.raises(UsageError, match=rf"^lines {first} and 9 have one custom_id, 'twin'; give each line"):
        _take_in(index, twins=(first, 9))


def _take_in(index: Index, *, twins: tuple[int, int]) -> None:
    for line in range(1, 10):
        index.add(line, "twin" if line in twins else str(line))
    index.added()


def test_what_lines_are_called_is_not_needed_to_know_which_are_done() -> None:
    index = Index()
    index.add(1, "a")
    index.added()
    index.close()
    assert index.mark(1)
    assert index.is_done(1)


def test_what_sqlite_cannot_do_is_told(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(index, "_ids", SimpleNamespace(execute=full, executemany=full, close=lambda: None))
    with pytest.raises(UsageError, match=r"\(database or disk is full\); make room, or let SQLITE_TMPDIR"):
        index.line_of("a")
