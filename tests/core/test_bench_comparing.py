"""Two cases in pairs: ratios with an interval that holds, and the points that no other one beats."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llada_core.bench import (
    FIGURES,
    Point,
    Question,
    answers,
    check_can_plot,
    difference,
    front,
    plot,
    ratios,
    share,
    staircase,
)
from llada_core.bench.comparing import CONFIDENCE, LEAST_PAIRS
from llada_core.bench.naming import Box, NoRoom, place
from llada_core.bench.plot import _legend_columns
from llada_core.errors import UsageError

FIGURE = FIGURES["tokens_per_second"]
POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)
DOTS = st.lists(st.tuples(st.integers(60, 740), st.integers(60, 540)), min_size=1, max_size=12)


def samples(*speeds: float) -> list[Any]:
    return [SimpleNamespace(tokens=speed, seconds=1.0) for speed in speeds]


def points(*places: tuple[float, float]) -> list[Point]:
    return [
        Point(name=f"point {number}", series=f"series {number % 3}", speed=speed, accuracy=accuracy)
        for number, (speed, accuracy) in enumerate(places)
    ]


def test_a_ratio_is_the_median_of_pairs_with_the_interval_of_the_sign_test() -> None:
    ratio = ratios(samples(*[10] * 6), samples(20, 21, 22, 23, 24, 25), FIGURE)
    assert ratio is not None
    assert (ratio.median, ratio.least, ratio.most) == (2.25, 2.0, 2.5)
    assert (ratio.better, ratio.worse, ratio.pairs) == (6, 0, 6)
    assert not ratio.shows_no_difference


def test_pairs_belong_together() -> None:
    """A machine that is twice as slow in some rounds is so for both."""
    ratio = ratios(samples(10, 5, 10, 5, 10, 5), samples(11, 5.5, 11, 5.5, 11, 5.6), FIGURE)
    assert ratio is not None
    assert (ratio.least, ratio.most) == pytest.approx((1.1, 1.12))


@pytest.mark.parametrize(("other", "same"), [(20, False), (10, True)])
def test_what_is_the_same_in_every_pair_has_no_interval(other: int, same: bool) -> None:
    ratio = ratios(samples(*[10] * 6), samples(*[other] * 6), FIGURE)
    assert ratio is not None
    assert (ratio.median, ratio.least, ratio.most, ratio.coverage) == (other / 10, None, None, None)
    assert ratio.shows_no_difference == same


def test_an_interval_that_includes_1_shows_no_difference() -> None:
    ratio = ratios(samples(*[10] * 7), samples(9, 9, 10, 10, 11, 12, 13), FIGURE)
    assert ratio is not None
    assert (ratio.better, ratio.worse) == (3, 2)
    assert ratio.shows_no_difference


def test_less_is_better_where_the_figure_says_so() -> None:
    slow, fast = ([SimpleNamespace(seconds=s, forwards=1)] * 6 for s in (2.0, 1.0))
    with pytest.raises(ValueError, match="neither more nor less rows_in_flight is better"):
        ratios(slow, fast, FIGURES["rows_in_flight"])
    ratio = ratios(slow, fast, FIGURES["ms_per_forward"])
    assert ratio is not None
    assert (ratio.median, ratio.better) == (0.5, 6)


@given(pairs=st.integers(LEAST_PAIRS, 60))
def test_the_interval_is_the_narrowest_that_covers_enough(pairs: int) -> None:
    ratio = ratios(samples(*[1] * pairs), samples(*range(1, pairs + 1)), FIGURE)
    assert ratio is not None
    assert ratio.least is not None
    assert ratio.most is not None
    assert ratio.coverage is not None
    outside = 2 * sum(comb(pairs, below) for below in range(int(ratio.least))) / 2**pairs
    assert ratio.coverage == pytest.approx(1 - outside)
    assert ratio.coverage >= CONFIDENCE > ratio.coverage - 2 * comb(pairs, int(ratio.least)) / 2**pairs
    assert ratio.most == pairs + 1 - ratio.least


def test_too_few_pairs_and_what_has_no_ratio() -> None:
    with pytest.raises(ValueError, match="5 pairs are too few to enclose a median; measure 6 at least"):
        ratios(samples(*[1] * 5), samples(*[1] * 5), FIGURE)
    assert ratios(samples(0, *[1] * 5), samples(*[1] * 6), FIGURE) is None


# -- right answers

KNOWN = [Question(prompt=str(number), accepts=lambda text: text == "yes") for number in range(8)]
UNKNOWN = Question(prompt="?")


def answered(*rounds: str) -> list[Any]:
    """A sample of each round, with an answer to every known question: ``y`` is right."""
    unknown = SimpleNamespace(question=UNKNOWN, right=None)
    known = [
        [SimpleNamespace(question=each, right=mark == "y") for each, mark in zip(KNOWN, marks, strict=True)]
        for marks in rounds
    ]
    return [SimpleNamespace(answers=[*each, unknown]) for each in known]


def test_right_answers_are_compared_by_the_exact_test_of_mcnemar() -> None:
    found = answers(answered("yyyyyyyn"), answered("nnnnnyyy"))
    assert found is not None
    assert (found.questions, found.first, found.second) == (8, 5, 1)
    assert found.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert found.shows_no_difference
    clear = answers(answered("nnnnnnny"), answered("yyyyyyyy"))
    assert clear is not None
    assert (clear.first, clear.second, clear.p) == (0, 7, 2 / 2**7)
    assert not clear.shows_no_difference


@given(marks=st.lists(st.sampled_from(["yn", "ny", "yy", "nn"]), min_size=8, max_size=8))
def test_rounds_that_are_all_the_same_say_what_one_says(marks: list[str]) -> None:
    one, other = ("".join(mark[side] for mark in marks) for side in (0, 1))
    assert answers(answered(one), answered(other)) == answers(answered(*[one] * 9), answered(*[other] * 9))


def test_a_question_counts_for_who_answers_it_right_in_more_rounds() -> None:
    found = answers(answered("ynnnnnnn", "ynnnnnnn"), answered("nynnnnnn", "yynnnnnn"))
    assert found is not None
    assert (found.first, found.second) == (1, 1)


def test_answers_of_which_nothing_is_known_and_other_questions() -> None:
    unknown = [SimpleNamespace(answers=[SimpleNamespace(question=UNKNOWN, right=None)])]
    assert answers(unknown, unknown) is None
    for other in (unknown, answered("yyyyyyyy", "yyyyyyyy")):
        with pytest.raises(ValueError, match="asked different questions; ask both the same, as often"):
            answers(answered("yyyyyyyy"), other)


# -- the front


@given(places=POINTS)
def test_the_front_is_what_no_point_beats(places: list[tuple[int, int]]) -> None:
    given_points = points(*places)
    best = front(given_points)
    for one in given_points:
        beaten = any(
            other.accuracy >= one.accuracy
            and other.speed >= one.speed
            and (other.accuracy, other.speed) != (one.accuracy, one.speed)
            for other in given_points
        )
        assert (one in best) != beaten
    assert [point.speed for point in best] == sorted((point.speed for point in best), reverse=True)


def test_the_staircase_goes_down_at_the_speed_of_a_point() -> None:
    assert staircase(front(points((1, 9), (5, 4)))) == [(5, 4), (1, 4), (1, 9)]


@given(dots=DOTS)
def test_names_do_not_overlap(dots: list[tuple[float, float]]) -> None:
    area = Box(left=0, bottom=0, right=800, top=600)
    try:
        boxes = place(dots, [(90, 12)] * len(dots), area)
    except NoRoom:
        assume(False)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert area.holds(box)
        assert not any(box.left < x < box.right and box.bottom < y < box.top for x, y in dots)


@given(places=st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=2, max_size=2))
def test_a_line_cuts_a_box_where_a_point_of_it_is_inside(places: list[tuple[int, int]]) -> None:
    (x, y), (to_x, to_y) = places
    box = Box(left=-5.5, right=5.5, bottom=-3.5, top=3.5)
    inside = [
        abs(x + (to_x - x) * part / 5000) < 5.5 and abs(y + (to_y - y) * part / 5000) < 3.5
        for part in range(5001)
    ]
    assert box.is_cut_by(*places) == any(inside)


# -- intervals


def test_a_share_is_enclosed_by_wilsons_interval() -> None:
    """81 of 263: the example of Newcombe (Statistics in Medicine 17, 1998)."""
    found = share(81, 263)
    assert (found.value, found.least, found.most) == pytest.approx((30.80, 25.53, 36.62), abs=0.01)
    assert share(0, 10).least == pytest.approx(0)
    assert share(10, 10).most == pytest.approx(100)


def test_a_difference_counts_only_what_one_of_two_answers_right() -> None:
    found = difference(86, 150, 1600)
    assert found.value == pytest.approx(-4.0)
    assert (found.least, found.most) == pytest.approx((-5.88, -2.12), abs=0.02)
    none = difference(0, 0, 1000)
    assert none.least < none.value == 0 < none.most < 0.3


@given(counts=st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 100)))
def test_a_difference_the_other_way_round_is_its_opposite(counts: tuple[int, int, int]) -> None:
    gained, lost, same = counts
    asked = gained + lost + same + 1
    one, other = difference(gained, lost, asked), difference(lost, gained, asked)
    assert (one.value, one.least, one.most) == pytest.approx((-other.value, -other.most, -other.least))
    assert one.least <= one.value <= one.most


# -- the picture


def test_the_picture_names_every_point_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plot(points((1, 9), (5, 4), (5, 4)), tmp_path / name, across="speed", up="right, %")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for number in range(3):
        assert f"<!-- point {number} -->" in drawn


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")])
def test_a_picture_is_of_the_kind_that_its_name_ends_in(tmp_path: Path, suffix: str, begin: bytes) -> None:
    path = tmp_path / f"plot{suffix}"
    plot(points((1, 100)), path, across="speed", up="right, %")
    assert path.read_bytes().startswith(begin)


def test_the_picture_grows_until_all_names_have_a_place(tmp_path: Path) -> None:
    few, many = tmp_path / "few.svg", tmp_path / "many.svg"
    plot(points((1, 50)), few, across="speed", up="right, %")
    plot(points(*[(1, 50)] * 16), many, across="speed", up="right, %")
    assert width(many) > width(few)


@pytest.mark.parametrize(
    ("accuracies", "least", "most"),
    [
        ([0, 0], 0, 100),
        ([50], 0, 100),
        ([100], 0, 100),
        ([0, 100], 0, 100),
        ([0, 0.5], 0, 2),
        ([98, 100], 97, 100),
    ],
)
def test_the_axis_of_accuracy_tells_percents_that_there_are(
    tmp_path: Path, accuracies: list[float], least: float, most: float
) -> None:
    path = tmp_path / "plot.svg"
    plot(points(*enumerate(accuracies, 1)), path, across="speed", up="right, %")
    ticks = upward(path)
    assert len(ticks) > 2
    assert least <= min(ticks) < max(ticks) <= most
    if len(set(accuracies)) == 1:
        assert (min(ticks), max(ticks)) == (0, 100)


def upward(path: Path) -> list[float]:
    """The numbers at the vertical axis."""
    axis = path.read_text().partition('id="matplotlib.axis_2"')[2].partition("right, %")[0]
    return [float(each.replace("\u2212", "-")) for each in re.findall(r"<!-- (.+?) -->", axis)]


def width(path: Path) -> float:
    return float(path.read_text().partition('width="')[2].partition("pt")[0])


def test_only_the_front_is_named_where_that_is_asked(tmp_path: Path) -> None:
    plot(points((1, 9), (5, 4), (4, 3)), tmp_path / "a.svg", across="speed", up="right, %", named="front")
    drawn = (tmp_path / "a.svg").read_text()
    assert [f"<!-- point {number} -->" in drawn for number in range(3)] == [True, True, False]


def test_costs_are_across_where_less_is_better(tmp_path: Path) -> None:
    many = points((1 / 20, 9), (1 / 200, 4))
    plot(many, tmp_path / "a.svg", across="columns", up="right, %", scale="cost")
    told = re.findall(r"<!-- (\d+) -->", (tmp_path / "a.svg").read_text())
    assert [tick for tick in told if tick in ("200", "100", "50", "20")] == ["200", "100", "50", "20"]


def test_a_bar_tells_from_where_to_where_the_accuracy_may_be(tmp_path: Path) -> None:
    """The picture has room for it."""
    bare, barred = tmp_path / "bare.svg", tmp_path / "barred.svg"
    plot(points((1, 50), (2, 60)), bare, across="speed", up="right, %")
    wide = [replace(each, least=20, most=80) for each in points((1, 50), (2, 60))]
    plot(wide, barred, across="speed", up="right, %")
    assert "<!-- 20 -->" not in bare.read_text()
    assert "<!-- 20 -->" in barred.read_text()


def test_a_series_looks_alike_in_all_pictures_of_the_same_series(tmp_path: Path) -> None:
    """Of the second of three series, with the first beside it and without."""
    both = [replace(each, series=name) for each, name in zip(points((1, 50), (2, 60)), "ab", strict=True)]
    dots = {}
    for name, drawn, series in (("both", both, "abc"), ("one", both[1:], "abc"), ("first", both[1:], "")):
        path = tmp_path / f"{name}.svg"
        plot(drawn, path, across="speed", up="right, %", series=series)
        groups = path.read_text().split('id="PathCollection_')[1:]
        dots[name] = re.findall(r"fill: (#\w+)", groups[-1])[0]
    assert dots["both"] == dots["one"] != dots["first"]


def test_a_legend_of_long_names_has_fewer_columns() -> None:
    columns = [_legend_columns(["n" * length] * 10, 720) for length in (4, 20, 40, 200)]
    assert columns == [7, 5, 3, 1]


def test_other_kinds_of_files_and_a_missing_matplotlib_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"end its name in \.png, \.svg, \.pdf"):
        check_can_plot(tmp_path / "plot.doc")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"needs matplotlib.*pip install 'llada-core\[plot\]'"):
        check_can_plot(tmp_path / "plot.png")
