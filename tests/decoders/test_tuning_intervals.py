"""The intervals of ``llada tune`` hold the truth as often as they say, and few questions tell little."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_decoders.tuning.intervals import Paired, needed, wilson

counts = st.integers(min_value=0, max_value=400)
pairs = st.builds(Paired, both=counts, lost=counts, won=counts)


def test_a_published_table_has_its_published_interval() -> None:
    # Complete response before and after consolidation therapy (Cavo 2012), as in Fagerland, Lydersen and
    # Laake: 65 and 75 of 161, 59 of them both.
    paired = Paired(both=59, lost=16, won=6)
    assert round(paired.share, 4) == 0.8667
    assert (round(paired.interval.least, 4), round(paired.interval.most, 4)) == (0.7579, 0.9910)


@given(pairs)
def test_the_interval_holds_the_share(paired: Paired) -> None:
    interval = paired.interval
    assert 0 <= interval.least <= interval.most
    assert interval.least <= paired.share * (1 + 1e-9)
    assert paired.share <= interval.most * (1 + 1e-9)


@given(pairs)
def test_more_of_the_same_narrows_it(paired: Paired) -> None:
    more = Paired(both=4 * paired.both, lost=4 * paired.lost, won=4 * paired.won)
    assert more.interval.least >= paired.interval.least - 1e-9
    assert more.interval.most <= paired.interval.most + 1e-9


@given(pairs)
def test_who_is_first_turns_it_round(paired: Paired) -> None:
    turned = Paired(both=paired.both, lost=paired.won, won=paired.lost).interval
    if paired.both:
        assert turned.least == pytest.approx(1 / paired.interval.most)
        assert turned.most == pytest.approx(1 / paired.interval.least)


def test_of_nothing_nothing_is_known() -> None:
    empty = Paired(both=0, lost=0, won=0)
    assert (empty.share, empty.interval.least, empty.interval.most) == (1, 0, math.inf)
    assert Paired(both=0, lost=0, won=3).share == math.inf
    assert Paired(both=0, lost=3, won=0).share == 0
    assert (wilson(0, 0).least, wilson(0, 0).most) == (0, 1)


def _held(baseline: float, share: float, kept: float, asked: int, runs: int) -> float:
    """How often the interval holds a true ``share``; ``kept`` of what the first has right is right again."""
    drawn = random.Random(f"{baseline}/{share}/{kept}/{asked}")
    gained = (share - kept) * baseline / (1 - baseline)
    held = 0
    for _ in range(runs):
        both = lost = won = 0
        for _ in range(asked):
            if drawn.random() < baseline:
                both, lost = (both + 1, lost) if drawn.random() < kept else (both, lost + 1)
            else:
                won += drawn.random() < gained
        interval = Paired(both=both, lost=lost, won=won).interval
        held += interval.least <= share <= interval.most
    return held / runs


@pytest.mark.parametrize("asked", [16, 128])
@pytest.mark.parametrize(
    ("baseline", "share", "kept"), [(0.7, 1.0, 0.9), (0.9, 0.98, 0.96), (0.5, 0.9, 0.85), (0.8, 0.98, 0.95)]
)
def test_intervals_of_shares_hold_the_truth_at_the_rate_that_is_told(
    baseline: float, share: float, kept: float, asked: int
) -> None:
    # 95 % but for what counts allow: it is approximate, and 600 runs have a standard error of 0.9 points.
    assert _held(baseline, share, kept, asked, runs=600) >= 0.92


@pytest.mark.parametrize(("right", "at_most"), [(96, 0.145), (128, 0.08), (256, 0.04)])
def test_who_only_loses_is_shown_by_chance_as_often_as_the_guide_says(right: int, at_most: float) -> None:
    share = 0.98
    shown = [
        math.comb(right, lost) * share ** (right - lost) * (1 - share) ** lost
        for lost in range(right)
        if Paired(both=right - lost, lost=lost, won=0).interval.least >= share
    ]
    assert at_most - 0.01 < sum(shown) < at_most


@pytest.mark.parametrize("right", [0.5, 0.8, 0.95])
def test_intervals_of_accuracies_do_too(right: float) -> None:
    drawn = random.Random(1)
    runs = [sum(drawn.random() < right for _ in range(64)) for _ in range(600)]
    assert sum(wilson(each, 64).least <= right <= wilson(each, 64).most for each in runs) / 600 >= 0.92


@pytest.mark.parametrize("floor", [0.5, 0.9, 0.95, 0.98, 0.99])
def test_it_is_known_how_many_right_answers_show_a_share(floor: float) -> None:
    count = needed(floor)
    assert count is not None
    assert Paired(both=count, lost=0, won=0).interval.least >= floor
    assert Paired(both=count - 1, lost=0, won=0).interval.least < floor


def test_no_number_of_questions_shows_that_all_is_kept() -> None:
    assert needed(1.0) is None
