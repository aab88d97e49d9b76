"""The page that compares the decoders, and the program that writes it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_core.bench import front, tasks
from llada_core.errors import ModelNotFound, UsageError
from tests.docs.documents import ROOT
from tests.support.programs import programs

MODULES = (
    "counts",
    "outputs",
    "asking",
    "decoder_settings",
    "evaluate",
    "decoder_rows",
    "decoder_page",
    "decoders",
)
"""Each imports some before it."""
DOCS = ROOT / "docs"
RUNS = sorted(DOCS.glob("decoders-*.json"))
PAGE = "Above.\n<!-- decoders-all: begin -->\nwhat was here\n<!-- decoders-all: end -->\nBelow.\n"
DEVICE = "a device of this test"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[SimpleNamespace]:
    with programs(*MODULES) as loaded:
        yield loaded


def made(benchmark: Any) -> Any:
    """A run of four settings and eight questions."""
    settings = benchmark.decoder_settings.settings(128)
    kept = {"families": {"lists": 75.0, "json": 50.0}, "tokens": 200, "part": 0, "seconds": 1.5}
    rows = [
        benchmark.decoder_rows.Row(
            setting=name, algorithm=settings[name].algorithm, parameters=settings[name].parameters, asked=8,
            right=right, whole=whole, block=block, columns=columns, **kept,
        )
        for name, right, whole, block, columns in (
            ("one-token", "ff", 300, 0, 60_000),
            ("basic-0.5", "1f", 10, 0, 2_000),
            ("dual-0.9", "7f", 8, 20, 2_400),
            ("klass", "0f", 40, 0, 8_000),
        )
    ]  # fmt: skip
    about = {
        "model": "a-model", "tasks": "a-model", "instances": 4, "seed": 1, "families": ["json", "lists"],
        "gen_length": 128, "block_length": 32, "dtype": "float32", "rows": 8, "processes": 1,
        "device": DEVICE, "torch": "2.11",
    }  # fmt: skip
    return benchmark.decoder_rows.Run(about=about, rows=rows, failed={})


@pytest.fixture
def docs(benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a page, of which nothing is measured, and where plots are a word."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "decoders.md").write_text(PAGE)
    for module in (benchmark.decoders, benchmark.decoder_page):
        monkeypatch.setattr(module, "DOCS", folder)
    monkeypatch.setattr(benchmark.decoders, "_measured", lambda *_: made(benchmark))
    monkeypatch.setattr(benchmark.decoder_page, "plot", lambda points, path, **look: path.write_text("drawn"))
    return folder


# -- what stands on the page


def test_the_page_holds_the_figures_of_each_run(benchmark: Any) -> None:
    page = (DOCS / "decoders.md").read_text()
    for path in RUNS:
        run = benchmark.decoder_rows.Run.read(path)
        assert benchmark.decoder_page.with_figures(page, run, path.stem) == page
        assert run.baseline is not None
        assert {row.asked for row in run.rows} == {len(run.about["families"]) * run.about["instances"]}


def test_the_pictures_name_the_settings_of_the_front(benchmark: Any) -> None:
    for path in RUNS:
        rows = benchmark.decoder_rows.Run.read(path).rows
        for picture, points in (
            (path.with_suffix(".svg"), [row.by_forwards for row in rows]),
            (path.with_name(f"{path.stem}-columns.svg"), [row.by_columns for row in rows]),
        ):
            drawn = picture.read_text()
            for point in front(points):
                assert f"<!-- {point.name} -->" in drawn


# -- what the program makes of a run


def test_the_table_tells_costs_and_what_is_lost(benchmark: Any) -> None:
    lines = benchmark.decoder_page.table(made(benchmark)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| **one-token**",
        "| **basic-0.5**",
        "| **dual-0.9**",
        "| klass",
    ]
    cells = lines[4].split(" | ")
    assert cells[3].startswith("87.5 (")
    assert cells[4].startswith("-12.5 (")
    assert cells[5:] == ["json 50.0", "7.14", "1.0 + 2.5 + 0.0", "**12.0**", "1.5 |"]
    assert lines[3].split(" | ")[8] == "**10.0**"


def test_a_page_keeps_what_is_around_its_marks(benchmark: Any) -> None:
    page = benchmark.decoder_page.with_figures(PAGE, made(benchmark), "decoders-all")
    assert page.startswith("Above.\n<!-- decoders-all: begin -->\n\na-model, 4 instances a family")
    assert page.endswith("<!-- decoders-all: end -->\nBelow.\n")
    assert "what was here" not in page
    assert benchmark.decoder_page.with_figures(page, made(benchmark), "decoders-all") == page


def test_all_llada_decoders_are_among_the_settings(benchmark: Any) -> None:
    """All that is installed for LLaDA's checkpoints."""
    known = {each.algorithm for each in benchmark.decoder_settings.settings(128).values()}
    engines = ("fast-dllm", "dinfer")
    assert known == {name for engine in engines for name in llada_core.list_algorithms_by_engine(engine)}
    for algorithm, parameters in benchmark.decoder_settings.settings(128).values():
        given = {"gen_length": 128, "block_length": 32, **parameters}
        llada_core.get_algorithm(algorithm).validate_args(**given)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [(["-n", "1"], False), (["-n", "1", "--write"], True), ([], True), (["--results", "FILE"], True)],
)
def test_only_a_full_run_or_an_explicit_wish_changes_the_page(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, docs: Path, arguments: list[str], written: bool
) -> None:
    file = docs.parent / "run.json"
    made(benchmark).write(file)
    given_words = [str(file) if word == "FILE" else word for word in arguments]
    monkeypatch.setattr("sys.argv", ["decoders.py", *given_words])
    benchmark.decoders.main()
    assert (DEVICE in (docs / "decoders.md").read_text()) == written
    files = {"decoders-all.json", "decoders-all.svg", "decoders-all-columns.svg"}
    assert {path.name for path in docs.iterdir()} == {"decoders.md"} | (files if written else set())


def test_a_look_can_be_written_elsewhere(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, docs: Path, tmp_path: Path
) -> None:
    (tmp_path / "look").mkdir()
    monkeypatch.setattr("sys.argv", ["decoders.py", "-n", "1", "--into", str(tmp_path / "look")])
    benchmark.decoders.main()
    assert DEVICE in (tmp_path / "look" / "decoders.md").read_text()
    assert (docs / "decoders.md").read_text() == PAGE


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, docs: Path, tmp_path: Path
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it is measured")

    monkeypatch.setattr(benchmark.decoders, "_measured", never)
    monkeypatch.setattr("sys.argv", ["decoders.py", "--into", str(tmp_path / "no")])
    with pytest.raises(SystemExit, match=r"decoders-all\.json cannot be written: there is no folder"):
        benchmark.decoders.main()


def test_one_file_that_cannot_be_written_in_the_end_costs_no_other(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(points: Any, path: Path, **look: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(benchmark.decoder_page, "plot", full)
    monkeypatch.setattr("sys.argv", ["decoders.py", "-n", "1", "--write"])
    with pytest.raises(
        SystemExit, match=r"decoders-all\.svg cannot be written \(No space left .*\); make room"
    ):
        benchmark.decoders.main()
    assert sorted(path.name for path in docs.iterdir()) == ["decoders-all.json", "decoders.md"]
    assert DEVICE in capsys.readouterr().out


# -- a run that is continued


@pytest.fixture
def world(benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """The program on a model that answers nothing, and which settings it has measured."""
    world = SimpleNamespace(measured=[], device="a card", failing=None, killed_after=None)
    row, about = made(benchmark).rows[0], made(benchmark).about

    def of(name: str, *_: Any) -> Any:
        if len(world.measured) == world.killed_after:
            raise KeyboardInterrupt
        world.measured.append(name)
        if name == world.failing:
            raise UsageError("it cannot be measured")
        return replace(row, setting=name)

    decoders = benchmark.decoders
    monkeypatch.setattr(decoders, "loaded", lambda *_: None)
    monkeypatch.setattr(decoders, "questions", lambda *_: [None])
    monkeypatch.setattr(decoders, "_about", lambda *_: {**about, "device": world.device})
    monkeypatch.setattr(decoders, "warm_case", lambda *_: None)
    monkeypatch.setattr(decoders, "measure", lambda *_: None)
    monkeypatch.setattr(decoders.Row, "of", of)

    def decode(*words: str) -> None:
        given_words = ("decoders.py", "-n", "1", "--into", str(tmp_path), "--figures-only", *words)
        monkeypatch.setattr("sys.argv", list(given_words))
        decoders.main()

    world.decode, world.file = decode, tmp_path / "decoders-all.json"
    return world


def test_a_continued_run_measures_what_is_missing(benchmark: Any, world: SimpleNamespace) -> None:
    world.decode("--setting", "dual-0.9", "one-token")
    world.decode("--continue", "--setting", "one-token", "klass", "dual-0.9")
    assert world.measured == ["dual-0.9", "one-token", "klass"]
    rows = benchmark.decoder_rows.Run.read(world.file).rows
    assert [row.setting for row in rows] == ["one-token", "dual-0.9", "klass"]


def test_shares_of_a_run_are_put_together(benchmark: Any, world: SimpleNamespace) -> None:
    for share in ("1/2", "2/2"):
        world.decode("--share", share)
    every = [*benchmark.decoder_settings.settings(128)]
    assert world.measured == every[::2] + every[1::2]
    shares = sorted(world.file.parent.glob("*-of-2.json"))
    run = benchmark.decoder_rows.Run.together(shares)
    assert [row.setting for row in run.rows] == every
    replace(run, about={**run.about, "processes": 5}).write(shares[1])
    assert benchmark.decoder_rows.Run.together(shares).about["processes"] == 5
    replace(run, rows=run.rows[1:], failed={every[0]: "no time", "of old": "no time"}).write(shares[1])
    assert benchmark.decoder_rows.Run.together(shares).failed == {"of old": "no time"}
    replace(run, about={**run.about, "device": "another card"}).write(shares[0])
    with pytest.raises(UsageError, match="another card"):
        benchmark.decoder_rows.Run.together(shares)


@pytest.mark.parametrize(
    ("percent", "told"),
    [
        (-0.048, "-0.0"),
        (0.0, "+0.0"),
        (-0.0, "+0.0"),
        (1e-9, "+0.0"),
        (-0.35, "-0.4"),
        (96.25, "+96.3"),
        (-14.55, "-14.6"),
    ],
)
def test_a_small_loss_is_told_from_none_and_halves_go_away_from_it(
    benchmark: Any, percent: float, told: str
) -> None:
    assert f"{benchmark.decoder_rows.tenth(percent):+}" == told


def test_what_an_answer_takes_is_of_a_smaller_run_by_itself(benchmark: Any, tmp_path: Path) -> None:
    run, timed = made(benchmark), made(benchmark)
    timed.rows = [replace(row, asked=4, seconds=0.5) for row in timed.rows[:2]]
    timed.about |= {"instances": 2}
    timed.write(tmp_path / "timed.json")
    run.about["processes"] = 4
    run.take_times(tmp_path / "timed.json")
    assert [row.alone for row in run.rows] == [125.0, 125.0, None, None]
    lines = benchmark.decoder_page.table(run).splitlines()
    last = [line.split(" | ")[-1] for line in (lines[0], *lines[2:])]
    assert last == ["ms an answer |", "125.0 |", "125.0 |", " |", " |"]
    assert "An answer is timed on 4 questions" in benchmark.decoder_page.about(run)
    assert "timed" not in benchmark.decoder_page.about(made(benchmark))
    run.write(tmp_path / "kept.json")
    assert benchmark.decoder_rows.Run.read(tmp_path / "kept.json") == run
    for wrong in ({"processes": 2}, {"device": "another card"}):
        replace(timed, about={**timed.about, **wrong}).write(tmp_path / "wrong.json")
        with pytest.raises(UsageError, match="had"):
            run.take_times(tmp_path / "wrong.json")
    for changed in ({"setting": "basic-0.7"}, {"parameters": {"steps": 2}}):
        replace(timed, rows=[replace(timed.rows[0], **changed)]).write(tmp_path / "wrong.json")
        with pytest.raises(UsageError, match="not here by these parameters"):
            run.take_times(tmp_path / "wrong.json")


def test_times_are_of_figures_that_are_there(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["decoders.py", "--times", "timed.json"])
    with pytest.raises(SystemExit):
        benchmark.decoders._options()
    assert "give those by --results" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0/2", "3/2", "2", "a/b"])
def test_a_share_that_is_none_is_refused(world: SimpleNamespace, share: str) -> None:
    with pytest.raises(SystemExit):
        world.decode("--share", share)


def test_a_killed_run_keeps_what_it_has(benchmark: Any, world: SimpleNamespace) -> None:
    world.killed_after = 1
    with pytest.raises(KeyboardInterrupt):
        world.decode("--setting", "one-token", "dual-0.9")
    assert [row.setting for row in benchmark.decoder_rows.Run.read(world.file).rows] == ["one-token"]


def test_a_run_of_another_machine_is_not_continued(world: SimpleNamespace) -> None:
    world.decode("--setting", "one-token")
    world.device = "another card"
    with pytest.raises(SystemExit, match=r" 'a card'.* 'another card'.*different files"):
        world.decode("--continue", "--setting", "klass")


@pytest.mark.parametrize(
    "text", [None, "no JSON", '{"rows": []}', '{"about": {}, "rows": [{"a": 1}], "failed": {}}']
)
def test_figures_that_are_none_are_refused(world: SimpleNamespace, text: str | None) -> None:
    if text is not None:
        world.file.write_text(text)
    with pytest.raises(
        SystemExit, match=r"decoders-all\.json (cannot be read|holds no figures).*earlier run"
    ):
        world.decode("--results", str(world.file))
    assert (world.file.read_text() if text else None) == text
    if text is not None:
        with pytest.raises(SystemExit, match="holds no figures"):
            world.decode("--continue", "--setting", "klass")


def test_a_model_that_cannot_be_loaded_is_told_in_a_line(
    benchmark: Any, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(options: Any) -> None:
        raise ModelNotFound("there is no folder nope", path="nope")

    monkeypatch.setattr(benchmark.decoders, "loaded", loaded)
    with pytest.raises(SystemExit, match="there is no folder nope"):
        world.decode("--model", "nope")


def test_a_setting_that_fails_costs_no_other(benchmark: Any, world: SimpleNamespace) -> None:
    world.failing = "klass"
    with pytest.raises(SystemExit, match="not measured: klass"):
        world.decode("--setting", "one-token", "klass", "dual-0.9")
    run = benchmark.decoder_rows.Run.read(world.file)
    assert ([row.setting for row in run.rows], run.failed) == (
        ["one-token", "dual-0.9"],
        {"klass": "it cannot be measured"},
    )
    world.failing = None
    world.decode("--continue", "--setting", "klass")
    assert not benchmark.decoder_rows.Run.read(world.file).failed


def test_a_row_knows_which_answers_were_right(benchmark: Any) -> None:
    row = replace(made(benchmark).rows[0], asked=6, right="13")  # 010011
    other = replace(row, right="31")  # 110001
    assert row.answers == [False, True, False, False, True, True]
    assert row.exact.value == 50
    assert row.over(other).value == 0
    assert row.over(replace(row, right="3")).value == pytest.approx(100 / 6)


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


@pytest.mark.parametrize("option", ["-n", "--gen-length", "--block-length", "--batch"])
def test_counts_of_nothing_are_refused(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["decoders.py", option, "0"])
    with pytest.raises(SystemExit):
        benchmark.decoders._options()
    assert f"argument {option}: '0' is no whole number from 1 on" in capsys.readouterr().err
