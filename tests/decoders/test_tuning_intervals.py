"""The intervals of ``llada tune`` hold the truth as often as they say, and few questions tell little."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_decoders.tuning.intervals import Paired, needed, wilson

counts = st.integers(min_value=0, max_value=400)
pairs = st.builds(Paired, both=counts, lost=counts, won=counts, neither=counts)


@pytest.mark.parametrize(
    ("right", "asked", "least", "most"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_proportions_have_their_published_intervals(
    right: int, asked: int, least: float, most: float
) -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3
    interval = wilson(right, asked)
    assert (round(interval.least, 4), round(interval.most, 4)) == (least, most)


def test_a_sum_of_two_proportions_has_its_published_interval() -> None:
    # 9/10 - 3/10 is in 0.1705 to 0.8090 (Newcombe, Statistics in Medicine 17 (1998) 873, table II, method
    # 10, which Zou and Donner come to as well); 9/10 + 7/10 is 1 more.
    interval = Paired(both=9, lost=1, won=7, neither=3).interval
    assert (round(interval.least, 4), round(interval.most, 4)) == (1.1705, 1.8090)


@given(pairs)
def test_the_interval_holds_the_share(paired: Paired) -> None:
    interval = paired.interval
    assert 0 <= interval.least <= interval.most
    assert interval.least <= paired.share * (1 + 1e-9)
    assert paired.share <= interval.most * (1 + 1e-9)


@given(pairs)
def test_more_of_the_same_narrows_it(paired: Paired) -> None:
    more = Paired(both=4 * paired.both, lost=4 * paired.lost, won=4 * paired.won, neither=4 * paired.neither)
    assert more.interval.least >= paired.interval.least - 1e-9
    assert more.interval.most <= paired.interval.most + 1e-9


@given(pairs)
def test_an_answer_more_that_is_right_lowers_neither_end(paired: Paired) -> None:
    better = []
    if paired.lost:
        better.append(replace(paired, both=paired.both + 1, lost=paired.lost - 1))
    if paired.neither:
        better.append(replace(paired, won=paired.won + 1, neither=paired.neither - 1))
    for each in better:
        assert each.interval.least >= paired.interval.least - 1e-9
        assert each.interval.most >= paired.interval.most - 1e-9


@given(both=counts, lost=counts, neither=counts)
def test_where_nothing_is_gained_it_begins_as_that_of_what_is_kept(
    both: int, lost: int, neither: int
) -> None:
    kept, interval = wilson(both, both + lost), Paired(both=both, lost=lost, won=0, neither=neither).interval
    assert interval.least == pytest.approx(kept.least)
    if both + lost:
        assert interval.most >= kept.most - 1e-9
        none_left = Paired(both=both, lost=lost, won=0, neither=0).interval
        assert none_left.most == pytest.approx(kept.most)


def test_of_nothing_nothing_is_known() -> None:
    empty = Paired(both=0, lost=0, won=0, neither=0)
    assert (empty.share, empty.interval.least, empty.interval.most) == (1, 0, math.inf)
    assert Paired(both=0, lost=0, won=3, neither=0).share == math.inf
    assert Paired(both=0, lost=3, won=0, neither=0).share == 0
    assert (wilson(0, 0).least, wilson(0, 0).most) == (0, 1)


def _chance(right: int, asked: int, each: float) -> float:
    return math.comb(asked, right) * each**right * (1 - each) ** (asked - right)


@pytest.mark.parametrize("floor", [0.9, 0.95, 0.98, 0.99])
@pytest.mark.parametrize("below", [0.0, 0.001, 0.005])
def test_who_only_loses_is_seldom_shown_to_pass_at_and_below_the_floor(floor: float, below: float) -> None:
    # exactly, of the binomial; counts are whole numbers, so 2.5 % is met but for 0.2 points
    for first in range(96, 513, 8):
        shown = 0.0
        for lost in range(first):
            if Paired(both=first - lost, lost=lost, won=0, neither=first // 4).interval.least < floor:
                break
            shown += _chance(first - lost, first, floor - below)
        assert shown <= 0.027, f"{first} right answers"


@pytest.mark.parametrize(("first", "others"), [(60, 20), (100, 28), (120, 136), (250, 6)])
@pytest.mark.parametrize(("kept", "gained"), [(0.9, 0.2), (0.97, 0.05), (0.8, 0.5), (0.95, 0.02)])
def test_shares_with_gains_are_missed_as_seldom_as_is_told(
    first: int, others: int, kept: float, gained: float
) -> None:
    # exactly, given which questions the first has right
    share, below, above = kept + gained * others / first, 0.0, 0.0
    for both in range(round(first * kept) - 40, first + 1):
        for won in range(others + 1):
            chance = _chance(both, first, kept) * _chance(won, others, gained) if both >= 0 else 0.0
            if chance > 1e-8:
                paired = Paired(both=both, lost=first - both, won=won, neither=others - won)
                below += chance * (paired.interval.least > share)
                above += chance * (paired.interval.most < share)
    assert below <= 0.027
    assert above <= 0.034


@pytest.mark.parametrize(
    ("baseline", "kept", "gained"), [(0.7, 0.9, 0.2), (0.9, 0.96, 0.18), (0.5, 0.85, 0.05), (0.8, 0.95, 0.12)]
)
@pytest.mark.parametrize("asked", [32, 256])
def test_intervals_hold_the_truth_whichever_questions_the_first_has_right(
    baseline: float, kept: float, gained: float, asked: int
) -> None:
    drawn = random.Random(f"{baseline}/{kept}/{gained}/{asked}")
    held, runs = 0, 600
    for _ in range(runs):
        first = sum(drawn.random() < baseline for _ in range(asked))
        both = sum(drawn.random() < kept for _ in range(first))
        won = sum(drawn.random() < gained for _ in range(asked - first))
        interval = Paired(both=both, lost=first - both, won=won, neither=asked - first - won).interval
        held += interval.least <= kept + gained * (asked - first) / first <= interval.most
    assert held / runs >= 0.925, "95 %, and 600 runs have a standard error of 0.9 points"


@pytest.mark.parametrize("right", [0.5, 0.8, 0.95])
def test_intervals_of_accuracies_do_too(right: float) -> None:
    drawn = random.Random(1)
    runs = [sum(drawn.random() < right for _ in range(64)) for _ in range(600)]
    assert sum(wilson(each, 64).least <= right <= wilson(each, 64).most for each in runs) / 600 >= 0.92


@pytest.mark.parametrize("floor", [0.5, 0.9, 0.95, 0.98, 0.99])
def test_it_is_known_how_many_right_answers_show_a_share(floor: float) -> None:
    count = needed(floor)
    assert count is not None
    assert Paired(both=count, lost=0, won=0, neither=9).interval.least >= floor
    assert Paired(both=count - 1, lost=0, won=0, neither=9).interval.least < floor


def test_as_many_as_the_guide_says_are_needed() -> None:
    assert (needed(0.98), needed(0.95)) == (189, 73)


def test_no_number_of_questions_shows_that_all_is_kept() -> None:
    assert needed(1.0) is None
