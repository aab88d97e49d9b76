"""Lines in shares: all of them in order, few enough of each, and enough at once to keep a session full."""

from __future__ import annotations

import pytest

from llada_server.batch.answering import Answered
from llada_server.batch.lines import Line
from llada_server.batch.shares import Sizes, answers_in, lines_in, packed, shares
from llada_server.settings import ServerSettings


def sizes(**given: int) -> Sizes:
    return Sizes(**{"lines": 3, "bytes": 100, "at_once": 1, "all": 2, **given})


def lines(*lengths: int | None) -> list[Line]:
    return [Line(n, None if each is None else b"x" * each) for n, each in enumerate(lengths, 1)]


def test_every_line_is_in_one_share_in_order() -> None:
    given = lines(*range(10))
    found = list(shares(iter(given), sizes()))
    assert [len(each) for each in found] == [3, 3, 3, 1]
    assert [line for share in found for line in share] == given
    assert not list(shares([], sizes()))


def test_a_share_has_so_many_bytes_or_one_line() -> None:
    found = list(shares(lines(60, 40, 1, 500, None, 100), sizes()))
    assert [[line.number for line in share] for share in found] == [[1, 2], [3], [4], [5, 6]]


@pytest.mark.parametrize(("left", "lines"), [(1, 1), (255, 1), (512, 2), (2048, 8), (10**6, 8)])
def test_of_few_lines_all_workers_get_some(left: int, lines: int) -> None:
    found = Sizes.of(ServerSettings(max_num_seqs=32), left=left, workers=2)
    assert found.lines == lines
    assert found.at_once * found.lines >= 2 * 32  # as many wait in the session as are decoded
    assert found.all >= 2 * found.at_once


def test_shares_are_the_same_on_the_other_side() -> None:
    given = lines(3, None)
    assert lines_in(packed(given)) == given
    told = [Answered(line=1, text="{}", failed=True, tokens=2, nfe=3)]
    assert answers_in(packed(told)) == told
