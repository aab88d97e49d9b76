"""How fast lines are done: of late, over enough of them, and honest while nothing is done."""

from __future__ import annotations

import pytest

from llada_server.batch.pace import Pace


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def done(pace: Pace, clock: Clock, lines: int, *, every: float, tokens: int = 0) -> None:
    """So many lines, one after the other."""
    for _ in range(lines):
        clock.now += every
        pace.take(tokens)


def test_nothing_is_said_before_enough_lines_are_done(clock: Clock) -> None:
    pace = Pace(enough=20, clock=clock)
    done(pace, clock, 19, every=0.1)
    assert pace.seconds_for(100) is None
    done(pace, clock, 1, every=0.1)
    assert pace.seconds_for(100) == pytest.approx(10)


def test_the_last_minutes_count_and_not_the_beginning(clock: Clock) -> None:
    pace = Pace(clock=clock)
    done(pace, clock, 1000, every=0.01, tokens=1)  # the short ones
    done(pace, clock, 200, every=2, tokens=50)
    assert pace.seconds_for(10) == pytest.approx(20, rel=0.05)
    assert pace.tokens_per_second == pytest.approx(25, rel=0.05)


def test_lines_that_take_long_are_looked_back_at_for_longer(clock: Clock) -> None:
    pace = Pace(clock=clock)
    for _ in range(10):  # waves of eight that end together, ten minutes after they began
        clock.now += 600
        done(pace, clock, 8, every=0)
    assert pace.seconds_for(8) == pytest.approx(600, rel=0.35)


def test_while_nothing_is_done_it_gets_slower(clock: Clock) -> None:
    pace = Pace(enough=1, clock=clock)
    done(pace, clock, 10, every=1, tokens=10)
    before = pace.seconds_for(10), pace.tokens_per_second
    clock.now += 90
    assert (pace.seconds_for(10), pace.tokens_per_second) == (before[0] * 10, before[1] / 10)
    assert pace.idle == 90


def test_what_is_remembered_does_not_grow(clock: Clock) -> None:
    pace = Pace(clock=clock)
    done(pace, clock, 50_000, every=0.5)
    assert len(pace._seen) < 150


def test_to_begin_forgets_what_was(clock: Clock) -> None:
    pace = Pace(enough=1, clock=clock)
    done(pace, clock, 5, every=1)
    clock.now += 100
    pace.begin()
    assert pace.seconds_for(1) is None
    done(pace, clock, 5, every=1)
    assert pace.seconds_for(1) == pytest.approx(1)
