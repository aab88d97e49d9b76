"""The words beside the bar: how fast, how long still, and for how long nothing has been done."""

from __future__ import annotations

from typing import Any

import pytest

from llada_server.batch.answering import Answered
from llada_server.batch.pace import Pace
from llada_server.batch.tally import Tally
from tests.server.batch.test_pace import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tally(clock: Clock, *, count: int, **more: Any) -> Tally:
    made = Tally(count=count, **more)
    made.pace = Pace(enough=made.enough, clock=clock)
    return made


def take(tally: Tally, clock: Clock, lines: int, *, every: float, failed: bool = False) -> None:
    for _ in range(lines):
        clock.now += every
        tally.take(Answered(line=1, text="", failed=failed, tokens=30, nfe=10))


def test_the_bar_and_the_line_tell_the_same(clock: Clock) -> None:
    one = tally(clock, count=1000, before=100, failed=1)
    take(one, clock, 40, every=2)
    assert one.now == "Answering, 1 failed, 15 tokens/s, about 29 min left"
    assert one.line == "140 of 1000 lines, 1 failed, 15 tokens/s, about 29 min left"


@pytest.mark.parametrize(
    ("left", "said"),
    [(10, "less than a minute left"), (30, "about 1 min left"), (3600, "about 2 h 0 min left")],
)
def test_times_are_told_in_words(clock: Clock, left: int, said: str) -> None:
    one = tally(clock, count=30 + left)
    take(one, clock, 30, every=2)
    assert one.now.endswith(said)


def test_of_few_lines_a_tenth_is_enough(clock: Clock) -> None:
    one = tally(clock, count=50)
    take(one, clock, 4, every=1)
    assert "left" not in one.now
    take(one, clock, 1, every=1)
    assert one.now.endswith("less than a minute left")


def test_where_nothing_is_done_for_long_that_is_said(clock: Clock) -> None:
    one = tally(clock, count=100)
    clock.now += 59
    assert one.now == "Answering, 0 tokens/s"
    clock.now += 61
    assert one.now == "Answering, no line done for 2 min"
    take(one, clock, 20, every=1)
    assert "tokens/s" in one.now
    clock.now += 7500
    assert one.line == "20 of 100 lines, no line done for 2 h 5 min"
