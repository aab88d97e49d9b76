"""The page that compares the decoders, and the program that writes it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.docs.documents import ROOT

FIGURES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)
POINTS = st.lists(st.tuples(st.integers(60, 740), st.integers(60, 540)), min_size=1, max_size=12)


PROGRAM = ("evaluate", "decoders_plot", "decoders")  # each imports those before it


@pytest.fixture(scope="module")
def benchmark() -> Iterator[SimpleNamespace]:
    """The modules of the program, which import each other by names that are not for the tests of others."""
    loaded = {}
    for name in PROGRAM:
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
        assert spec
        assert spec.loader
        loaded[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    yield SimpleNamespace(decoders=loaded["decoders"], plot=loaded["decoders_plot"])
    for name in PROGRAM:
        del sys.modules[name]


def rows(benchmark: Any) -> list[Any]:
    run = json.loads((ROOT / "docs" / "decoders.json").read_text())
    return [benchmark.plot.Row(**row) for row in run["rows"]]


def test_the_page_holds_the_figures_of_the_run(benchmark: Any) -> None:
    run = json.loads((ROOT / "docs" / "decoders.json").read_text())
    page = (ROOT / "docs" / "decoders.md").read_text()
    table = benchmark.decoders.table(rows(benchmark), run["about"])
    assert benchmark.decoders.with_table(page, table) == page


def test_the_plot_names_every_setting_and_is_the_same_each_time(benchmark: Any, tmp_path: Path) -> None:
    written = []
    for name in ("one.svg", "two.svg"):
        benchmark.plot.plot(rows(benchmark), tmp_path / name)
        written.append((tmp_path / name).read_text())
    assert written[0] == written[1]
    committed = (ROOT / "docs" / "decoders.svg").read_text()
    for row in rows(benchmark):
        assert f"<!-- {row.setting} -->" in written[0]
        assert f"<!-- {row.setting} -->" in committed


@given(figures=FIGURES)
def test_the_front_is_what_no_setting_beats(benchmark: Any, figures: list[tuple[int, int]]) -> None:
    settings = [SimpleNamespace(exact=exact, tokens_per_forward=fast) for exact, fast in figures]
    best = benchmark.plot.front(settings)
    assert best
    for one in settings:
        beaten = any(
            other.exact >= one.exact
            and other.tokens_per_forward >= one.tokens_per_forward
            and (other.exact, other.tokens_per_forward) != (one.exact, one.tokens_per_forward)
            for other in settings
        )
        assert (one in best) != beaten
    speeds = [row.tokens_per_forward for row in best]
    assert speeds == sorted(speeds, reverse=True)


@given(points=POINTS)
def test_labels_do_not_overlap(benchmark: Any, points: list[tuple[float, float]]) -> None:
    area = benchmark.plot.Box(left=0, bottom=0, right=800, top=600)
    try:
        boxes = benchmark.plot.place(points, [(90, 12)] * len(points), area)
    except ValueError:
        assume(False)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert area.holds(box)
        assert not any(box.left < x < box.right and box.bottom < y < box.top for x, y in points)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [(["-n", "1"], False), (["-n", "1", "--write"], True), ([], True), (["--results", "FILE"], True)],
)
def test_only_a_full_run_or_an_explicit_wish_changes_the_page(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], written: bool
) -> None:
    for name in ("decoders.md", "decoders.json"):
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text())
    run = json.loads((tmp_path / "decoders.json").read_text())
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({**run, "about": "a run of this test"}))
    monkeypatch.setattr(benchmark.decoders, "DOCS", tmp_path)
    monkeypatch.setattr(benchmark.decoders, "_run", lambda _: json.loads(figures.read_text()))
    monkeypatch.setattr(benchmark.decoders, "plot", lambda rows, path: path.write_text("drawn"))
    given_words = [str(figures) if word == "FILE" else word for word in arguments]
    monkeypatch.setattr("sys.argv", ["decoders.py", *given_words])
    benchmark.decoders.main()
    assert ("a run of this test" in (tmp_path / "decoders.md").read_text()) == written
    assert (tmp_path / "decoders.svg").exists() == written
