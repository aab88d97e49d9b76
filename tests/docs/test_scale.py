"""The page on fleets: its tables follow from its inputs, and these are figures that the notes have."""

from __future__ import annotations

import importlib.util
import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.docs.documents import ROOT
from tests.docs.test_docs import LINK, anchors

PAGE, NOTES = ROOT / "docs" / "scale.md", ROOT / "benchmarks" / "NOTES.md"
INPUT = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*NOTES\.md#[^|]*) \|$", flags=re.MULTILINE)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


@pytest.fixture(scope="module")
def program() -> Any:
    """The program that writes the tables."""
    spec = importlib.util.spec_from_file_location("fleet", ROOT / "benchmarks" / "fleet.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fleet(program: Any) -> Any:
    """The arithmetic of the page."""
    return program.arithmetic(PAGE.read_text())


def inputs() -> dict[str, tuple[str, str]]:
    """Of each input its figures and its source."""
    return {what: (figures, source) for what, figures, source in INPUT.findall(PAGE.read_text())}


def section(anchor: str) -> str:
    """What stands under a heading of the notes, its own sections included."""
    assert anchor in anchors(NOTES)
    parts = re.split(r"^(?=#+ )", NOTES.read_text(), flags=re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", part.partition("\n")[0]).strip().lower() for part in parts]
    return parts[[slug.replace(" ", "-") for slug in slugs].index(anchor)]


def test_the_tables_are_what_the_arithmetic_gives(program: Any) -> None:
    page = PAGE.read_text()
    assert program.with_tables(page) == page, "python benchmarks/fleet.py --write"


@pytest.mark.parametrize("what", inputs())
def test_every_input_stands_in_the_notes_where_the_page_says(what: str) -> None:
    figures, source = inputs()[what]
    told = "".join(section(target.partition("#")[2]) for target in LINK.findall(source))
    known = {*NUMBER.findall(told), *NUMBER.findall(source)}
    assert {*NUMBER.findall(figures)} <= known


def test_the_arithmetic_begins_from_the_inputs(fleet: Any) -> None:
    for kind, known in (("step", fleet.STEP), ("refresh", fleet.REFRESH)):
        for card, times in known.items():
            figures, _ = inputs()[f"{kind}, {card}{' weights' if 'fp8' in card else ''}"]
            assert list(times.values()) == [float(figure) for figure in NUMBER.findall(figures)]
    for part, kinds in fleet.PASSED.items():
        figures, _ = inputs()[part]
        assert [*kinds.values()] == [float(figure) for figure in NUMBER.findall(figures)]


def test_whole_answers_that_were_measured_are_in_the_notes_too(program: Any) -> None:
    known = {f"{float(each.replace(',', '')):,.0f}" for each in NUMBER.findall(NOTES.read_text())}
    for *_, told in program.MEASURED:
        assert {*told.split(" to ")} <= known


def test_what_was_not_measured_or_cannot_be_is_refused(fleet: Any) -> None:
    assert fleet.between({1: 4.0, 2: 5.0, 8: 11.0}, 5) == 8.0
    with pytest.raises(ValueError, match="64 rows were not measured; give 1 to 32"):
        fleet.Gpu().seconds(64)
    with pytest.raises(ValueError, match="4096 columns were not measured; give 768 to 1536"):
        fleet.Gpu(columns=4096)
    with pytest.raises(ValueError, match="64 tokens a forward cannot be; give 1 to 32"):
        fleet.Gpu(a_forward=64)
    with pytest.raises(ValueError, match="0 requests a second keep nobody waiting"):
        fleet.waiting(fleet.Gpu(), 0)


def test_waiting_is_that_of_one_desk_where_rows_gain_nothing(fleet: Any) -> None:
    """M/M/1: at three quarters of its speed there are three on average, three quarters of whom are served."""
    desk = SimpleNamespace(answers=lambda rows: 2.0)
    told = fleet.waiting(desk, 1.5, most=1, queue=400)
    assert (told.rows, told.queue, told.seconds) == pytest.approx((0.75, 2.25, 2.0))


def test_waiting_is_that_of_many_desks_where_rows_do_not_share(fleet: Any) -> None:
    """M/M/c with as many desks as come: nobody waits, and an answer takes what it takes alone."""
    desks = SimpleNamespace(answers=lambda rows: 0.5 * rows)
    told = fleet.waiting(desks, 1.5, most=60, queue=0)
    assert (told.rows, told.queue, told.seconds) == pytest.approx((3.0, 0.0, 2.0))


def test_what_is_too_much_is_refused(fleet: Any) -> None:
    desk = SimpleNamespace(answers=lambda rows: 2.0)
    told = fleet.waiting(desk, 4.0, most=1, queue=30)
    assert told.refused == pytest.approx(0.5)
    assert told.seconds == pytest.approx(15, rel=0.05)
