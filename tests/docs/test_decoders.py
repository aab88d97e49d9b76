"""The page that compares the decoders, and the program that writes it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llada_core.bench import tasks
from tests.docs.documents import ROOT

PROGRAM = ("outputs", "evaluate", "decoders")  # each imports those before it


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
    yield SimpleNamespace(**loaded)
    for name in PROGRAM:
        del sys.modules[name]


def rows(benchmark: Any) -> list[Any]:
    run = json.loads((ROOT / "docs" / "decoders.json").read_text())
    return [benchmark.decoders.Row(**row) for row in run["rows"]]


def test_the_page_holds_the_figures_of_the_run(benchmark: Any) -> None:
    run = json.loads((ROOT / "docs" / "decoders.json").read_text())
    page = (ROOT / "docs" / "decoders.md").read_text()
    table = benchmark.decoders.table(rows(benchmark), run["about"])
    assert benchmark.decoders.with_table(page, table) == page


def test_the_plot_names_every_setting(benchmark: Any) -> None:
    committed = (ROOT / "docs" / "decoders.svg").read_text()
    for row in rows(benchmark):
        assert f"<!-- {row.setting} -->" in committed


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
    monkeypatch.setattr(benchmark.decoders, "plot", lambda points, path, **axes: path.write_text("drawn"))
    given_words = [str(figures) if word == "FILE" else word for word in arguments]
    monkeypatch.setattr("sys.argv", ["decoders.py", *given_words])
    benchmark.decoders.main()
    assert ("a run of this test" in (tmp_path / "decoders.md").read_text()) == written
    assert (tmp_path / "decoders.svg").exists() == written


def test_a_look_can_be_written_elsewhere(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = {**json.loads((ROOT / "docs" / "decoders.json").read_text()), "about": "a run of this test"}
    before = (ROOT / "docs" / "decoders.md").read_text()
    monkeypatch.setattr(benchmark.decoders, "_run", lambda _: run)
    monkeypatch.setattr("sys.argv", ["decoders.py", "-n", "1", "--into", str(tmp_path)])
    benchmark.decoders.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "decoders.json",
        "decoders.md",
        "decoders.svg",
    ]
    assert "a run of this test" in (tmp_path / "decoders.md").read_text()
    assert (ROOT / "docs" / "decoders.md").read_text() == before


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(_: Any) -> None:
        raise AssertionError("it is measured")

    monkeypatch.setattr(benchmark.decoders, "_run", never)
    monkeypatch.setattr("sys.argv", ["decoders.py", "--into", str(tmp_path / "no")])
    with pytest.raises(SystemExit, match=r"decoders\.json cannot be written: there is no folder"):
        benchmark.decoders.main()


def test_one_file_that_cannot_be_written_in_the_end_costs_no_other(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(points: Any, path: Path, **axes: str) -> None:
        raise OSError(28, "No space left on device")

    run = {**json.loads((ROOT / "docs" / "decoders.json").read_text()), "about": "a run of this test"}
    monkeypatch.setattr(benchmark.decoders, "_run", lambda _: run)
    monkeypatch.setattr(benchmark.decoders, "plot", full)
    monkeypatch.setattr("sys.argv", ["decoders.py", "-n", "1", "--into", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"decoders\.svg cannot be written \(No space left .*\); make room"):
        benchmark.decoders.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoders.json", "decoders.md"]
    assert "a run of this test" in capsys.readouterr().out


def test_figures_of_every_benchmark_go_to_a_file_that_is_known_to_be_writable(
    benchmark: Any, tmp_path: Path
) -> None:
    programs = {path.name: path.read_text() for path in (ROOT / "benchmarks").glob("*.py")}
    for name, text in programs.items():
        for given in re.findall(r'add_argument\("--json"(.*)', text):
            assert given.startswith(", type=output"), name
    kept = tmp_path / "kept.json"
    kept.write_text("of an earlier run")
    assert benchmark.outputs.output(str(kept)) == kept
    assert kept.read_text() == "of an earlier run"
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"no/new\.json cannot be written: there is no folder"
    ):
        benchmark.outputs.output(str(tmp_path / "no" / "new.json"))


def test_the_time_of_a_setting_begins_after_a_batch_to_warm_up(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    answered = SimpleNamespace(answers=[], tokens=1, row_forwards=1, seconds=1.0)
    monkeypatch.setattr(benchmark.evaluate, "warm_case", lambda *given: done.append(("warm", *given)))
    monkeypatch.setattr(
        benchmark.evaluate, "measure", lambda *given: done.append(("measure", *given)) or answered
    )
    asked = tasks(3, ["lists"])
    benchmark.evaluate.evaluate(None, "dual-0.9", asked, phrasings="seen", batch=2)
    assert [each[0] for each in done] == ["warm", "measure"]
    assert done[0][1:] == done[1][1:]
