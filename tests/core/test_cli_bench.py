"""``llada bench``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core.bench import FIGURES, Sample, measure
from llada_core.bench import memory as memories
from llada_core.errors import UsageError
from llada_core.imports import load_target
from tests.support.program import Llada, Ran, error

pytestmark = pytest.mark.usefixtures("world")

PROMPTS = """\
{"prompt": "Hello", "expected": "Hi there."}
{"messages": [{"role": "user", "content": "Who?"}], "expected": ["Nobody.", "Hi there. "]}
{"prompt": "Bye", "expected": "Bye."}
{"prompt": "Nobody knows"}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program runs in: empty, but for what a test writes."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    path = tmp_path / "prompts.jsonl"
    path.write_text(PROMPTS)
    return str(path)


@pytest.fixture
def bench(llada: Llada, folder: Path, prompts: str) -> Llada:
    """A function that runs ``llada bench`` on a fake checkpoint, with some prompts unless told otherwise."""

    def call(*arguments: str, asked: tuple[str, ...] = ("--prompts", prompts)) -> Ran:
        return llada("bench", "--model", str(folder), *asked, *arguments)

    return call


def measured(ran: Ran) -> dict[str, Any]:
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_people_get_the_machine_a_table_and_how_it_was_measured(bench: Llada, here: Path) -> None:
    status, out, err = bench("--gen-length", "32", "--algorithm", "pairs", "--algorithm", "singles")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith(", by the engine fake, dtype not told")
    assert lines[1].startswith("cpu: ")
    assert "llada-core" in lines[2]
    assert "torch" in lines[2]
    at = next(number for number, line in enumerate(lines) if line.startswith("setting "))
    heads = [head.strip() for head in lines[at].split("  ") if head.strip()]
    assert heads[:3] == ["setting", "tokens/s", "spread"]
    assert heads[-1] == "right %"
    pairs, singles = lines[at + 1].split(), lines[at + 2].split()
    assert (pairs[0], singles[0]) == ("pairs", "singles")
    assert {"16.00", "0.56", "2.00", "66.7"} <= set(pairs)
    assert {"32.00", "0.28", "1.00", "66.7"} <= set(singles)
    assert "4 question(s): " in lines[at + 3]
    assert "answers of 32 tokens at most; batch 1" in lines[at + 3]
    assert "measured 3 times, each setting once a round, after 1 warm-up(s)" in lines[at + 4]
    assert list(here.iterdir()) == [], "nothing is written unasked"


def test_every_length_and_batch_is_measured(bench: Llada) -> None:
    sizes = ("--gen-length", "8,16", "--batch", "1, 3", "--batch", "3")
    found = measured(bench(*sizes, "--algorithm", "pairs", "--algorithm", "singles", "--json"))
    cases = [(each["batch"], each["gen_length"], each["setting"]) for each in found["results"]]
    assert cases == [(b, n, s) for b in (1, 3) for n in (8, 16) for s in ("pairs", "singles")]
    for result in found["results"]:
        width = 2 if result["setting"] == "pairs" else 1
        assert result["figures"]["nfe"]["median"] == result["gen_length"] / width
    out = bench(*sizes).out
    assert out.count("pairs") == 4
    assert "length" in out
    assert "batch" in out


def test_answers_that_their_length_cut_are_told_with_the_flag_to_raise(bench: Llada) -> None:
    status, _, err = bench("--gen-length", "4,32", "--repeats", "2")
    assert status == 0
    told = [line for line in err.splitlines() if "have no end" in line]
    assert told == [
        "pairs, 4 tokens: 8 of 8 answers have no end within 4 tokens; raise --gen-length, or -p "
        "gen_length, where they are to be whole"
    ]
    short, whole = measured(bench("--gen-length", "4,32", "--repeats", "1", "--json"))["results"]
    assert [result["samples"][0]["cut"] for result in (short, whole)] == [4, 0]


def test_programs_get_all_samples(bench: Llada) -> None:
    found = measured(bench("--repeats", "2", "--json", "-p", "gen_length=32"))
    assert list(found) == ["about", "method", "results", "comparisons", "not_compared"]
    assert found["method"]["questions"] == 4
    told = ("repeats", "rounds", "interrupted")
    assert [found["method"][name] for name in told] == [2, 2, False]
    (result,) = found["results"]
    assert (result["setting"], result["algorithm"]) == ("pairs", "pairs")
    assert result["parameters"] == {"gen_length": 32, "threshold": 0.9, "seed": None}
    assert list(result["figures"]) == list(FIGURES)
    assert len(result["samples"]) == 2
    sample = result["samples"][0]
    assert list(sample) == [
        *("seconds", "answers", "cut", "tokens", "committed", "nfe", "forwards", "computed"),
        *("rows", "rows_in_flight", "first_text", "peak_memory", "right", "checked"),
    ]
    assert (sample["answers"], sample["tokens"], sample["committed"]) == (4, 36, 128)
    assert (sample["nfe"], sample["forwards"], sample["right"], sample["checked"]) == (64, 64, 2, 3)


def test_lengths_are_the_algorithms_own_where_none_is_given(bench: Llada) -> None:
    (result,) = measured(bench("--json"))["results"]
    assert result["gen_length"] == 128


def test_lines_of_text_are_prompts_whose_answers_nobody_knows(
    bench: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\nWho?\n"))
    found = measured(bench("--json", asked=("--prompts", "-")))
    assert found["method"]["source"] == "stdin"
    assert found["results"][0]["figures"]["accuracy"] is None


def test_the_tasks_of_the_embedded_model_are_its_questions(
    llada: Llada, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(max_sequence_length=5000)
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder, raising=False)
    found = measured(llada("bench", "--repeats", "1", "--json", "-p", "gen_length=8"))
    assert found["method"]["questions"] == 40
    some = measured(llada("bench", "--tasks", "2", "--family", "lists", "--repeats", "1", "--json"))
    assert some["method"]["questions"] == 2
    assert some["results"][0]["accuracy_by_family"] == {"lists": 0}


def test_the_model_of_another_wheel_is_asked_its_own_tasks(
    llada: Llada, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(max_sequence_length=5000)
    monkeypatch.setattr("llada_tiny_long.model_path", lambda: folder)
    call = ("bench", "--model", "llada-tiny-long", "--repeats", "1", "--json", "-p", "gen_length=8")
    found = measured(llada(*call, "--family", "columns"))
    assert found["method"]["source"] == "tasks of llada-tiny-long, columns"
    assert found["method"]["questions"] == 5
    assert "no family of tasks is called 'json'" in error(llada(*call, "--family", "json"), status=2)


def test_files_are_written_where_they_are_named(bench: Llada, here: Path) -> None:
    ran = bench("--json-file", "out.json", "--plot", "plot.png", "--gen-length", "16")
    assert ran.status == 0
    assert "tokens/s" in ran.out, "the table is printed all the same"
    assert sorted(path.name for path in here.iterdir()) == ["out.json", "plot.png"]
    assert json.loads((here / "out.json").read_text())["results"][0]["setting"] == "pairs"
    assert (here / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_there_is_written_over_only_where_that_is_said(bench: Llada, here: Path) -> None:
    (here / "out.json").write_text("kept")
    said = error(bench("--json-file", "out.json"), status=2)
    assert "--json-file: out.json is there already; give another file, or --overwrite" in said
    assert (here / "out.json").read_text() == "kept"
    assert bench("--json-file", "out.json", "--overwrite", "--gen-length", "8").status == 0
    assert json.loads((here / "out.json").read_text())["results"]


def test_looking_whether_a_file_can_be_written_changes_nothing(bench: Llada, here: Path) -> None:
    (here / "kept.json").write_text("kept")
    (here / "link.json").symlink_to(here / "no" / "where.json")
    files = ("--json-file", "link.json", "--plot", "new.png", "--overwrite")
    said = error(bench(*files), status=2)
    assert "--json-file: link.json cannot be written (No such file or directory); give another" in said
    for path in ("kept.json", "new.json"):
        said = error(bench("--json-file", path, "--overwrite", "--algorithm", "single"), status=2)
        assert "no algorithm is called 'single'" in said, "the files are fine"
    assert {path.name for path in here.iterdir()} == {"kept.json", "link.json"}
    assert (here / "kept.json").read_text() == "kept"


def test_a_file_of_somebody_else_is_refused_before_a_model_is_loaded(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Any, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("llada_core.cli.outfiles.os.open", refused)
    (here / "theirs.json").write_text("theirs")
    for path in ("theirs.json", "new.json"):
        said = error(bench("--json-file", path, "--overwrite"), status=2)
        assert f"--json-file: {path} cannot be written (Permission denied); give another file" in said


@pytest.mark.parametrize("lost", ["out.json", "plot.svg"])
def test_one_file_that_cannot_be_written_in_the_end_costs_no_other_and_no_table(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    (here / "folder").mkdir()

    def measured_meanwhile(*args: Any, **options: Any) -> Sample:
        (here / "folder").rename(here / "gone")
        return measure(*args, **options)

    monkeypatch.setattr("llada_core.cli.bench_trials.measure", measured_meanwhile)
    names = [f"folder/{name}" if name == lost else name for name in ("out.json", "plot.svg")]
    ran = bench("--json-file", names[0], "--plot", names[1], "--gen-length", "8", "--repeats", "1")
    assert ran.status == 1
    said = f"error: folder/{lost} cannot be written (No such file or directory); give another file\n"
    assert ran.err.startswith(said)
    assert "tokens/s" in ran.out
    assert {path.name for path in here.iterdir()} == {"gone", "out.json", "plot.svg"} - {lost}


def test_files_are_written_where_the_reader_of_the_table_has_left(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(about: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("llada_core.cli.bench_telling.print_surroundings", left)
    assert bench("--json-file", "out.json", "--gen-length", "8", "--repeats", "1").status == 141
    assert json.loads((here / "out.json").read_text())["results"]


WRONG = [
    (("--algorithm", "pair"), "did you mean pairs"),
    (("-p", "threshold=2"), "threshold=2 is out of range"),
    (("--gen-length", "0"), "'0' is no number from 1 on; write such as 64,128"),
    (("--gen-length", "8,x"), "'x' is no number from 1 on"),
    (("--batch", ""), "'' is no number from 1 on"),
    (("--gen-length", "8", "-p", "max_tokens=9"), "max_tokens is given by -p and by --gen-length"),
    (("--algorithm", "two", "-p", "gen_length=9", "--gen-length", "8"), "gen_length is given by -p and by"),
    (("--repeats", "0"), "see llada bench --help"),
    (("--max-tokens", "8"), "there is no option --max-tokens"),
    (("--tasks", "1"), "--prompts and tasks (--tasks, --family) are both given; give one of them"),
    (("--speed", "tokens/s"), "--speed is what --plot draws; give --plot FILE"),
    (("--overwrite",), "--overwrite is of files; give --json-file FILE or --plot FILE"),
    (("--json-file", "no/where.json"), "there is no folder no; make it, or give another file"),
    (("--json-file", "-"), "--json-file: - is no file; give --json for JSON on stdout"),
    (("--json-file", "."), "--json-file: . is a folder; give a file"),
    (("--json-file", "a" * 300), "a cannot be written (File name too long); give another file"),
    (("--plot", "a.png", "--json-file", "a.png"), "a.png is what --json-file writes; give another file"),
    (("--plot", "a.doc"), "end its name in .png, .svg, .pdf"),
    (("--compare", "pairs", "singles", "--repeats", "5"), "give --repeats 6 or more"),
    (("--compare", "pairs"), "requires 2 arguments; see llada bench --help"),
    (("--compare", "pairs", "single"), "no algorithm is called 'single'; did you mean singles"),
    (("--compare", "pairs", "broken"), "broken cannot run here"),
    (
        ("--algorithm", "pairs", "--algorithm", "singles", "--compare", "pairs", "opaque"),
        "--compare: opaque means no setting; give the numbers of two: 1 (pairs), 2 (singles)",
    ),
    (
        ("--algorithm", "pairs", "--algorithm", "singles", "--compare", "2", "singles"),
        "--compare: 2 and singles are both singles; name two settings",
    ),
    (
        ("--algorithm", "pairs", "--algorithm", "pairs", "-p", "threshold=0.5", "--compare", "two", "pairs"),
        "two means several settings; give the numbers of two: 1 (pairs), 2 (pairs threshold=0.5)",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_a_wrong_call_is_refused_before_a_model_is_loaded(
    bench: Llada, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("llada_core.cli.opening.load_on", never)
    ran = bench(*arguments)
    assert said in error(ran, status=1 if "cannot run here" in said else 2)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"prompt": "a", "expected": 3}', "line 1: expected is no answer; write"),
        ('{"prompt": "a", "expected": []}', "line 1: expected is no answer; write"),
        ('{"text": "a"}', "it holds no prompt, or several"),
        ("", "holds no prompt; write one a line"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused(bench: Llada, tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "odd.jsonl").write_text(lines)
    assert said in error(bench(asked=("--prompts", str(tmp_path / "odd.jsonl"))), status=2)


def test_another_model_is_asked_nothing_by_itself(bench: Llada) -> None:
    said = "nothing is asked; give --prompts FILE, or --tasks N for the tasks of the embedded model"
    assert said in error(bench(asked=()), status=2)


@pytest.mark.parametrize("asked", [(), ("--tasks", "1")], ids=["nothing", "tasks"])
def test_a_model_that_is_not_there_is_told_before_what_is_asked(llada: Llada, asked: tuple[str, ...]) -> None:
    assert "there is no folder ./nowhere" in error(llada("bench", "--model", "./nowhere", *asked), status=1)


def test_a_base_of_trained_weights_is_another_model(llada: Llada, tmp_path: Path, folder: Path) -> None:
    ran = llada("bench", "--dcp", str(tmp_path), "--base", str(folder))
    assert "nothing is asked; give --prompts FILE, or --tasks N" in error(ran, status=2)


def test_a_plot_needs_matplotlib_and_right_answers(
    bench: Llada, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain.txt").write_text("Hello\n")
    ran = bench("--plot", "a.png", asked=("--prompts", str(tmp_path / "plain.txt")))
    assert "--plot: it is not known which answers are right" in error(ran, status=2)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install 'llada-core[plot]'" in error(bench("--plot", "a.png"), status=2)


# -- two in pairs


def test_two_algorithms_are_compared_in_pairs(bench: Llada, monkeypatch: pytest.MonkeyPatch) -> None:
    order = list[str]()

    def noting(lm: Any, case: Any, *args: Any, **options: Any) -> Sample:
        order.append(case.label)
        return measure(lm, case, *args, **options)

    monkeypatch.setattr("llada_core.cli.bench_trials.measure", noting)
    found = measured(bench("--compare", "singles", "two", "--gen-length", "16", "--json"))
    assert order == ["singles", "pairs", "pairs", "singles"] * 5
    (comparison,) = found["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("singles", "pairs")
    nfe = next(each for each in comparison["ratios"] if each["figure"] == "nfe")
    assert (nfe["median"], nfe["least"], nfe["most"], nfe["coverage"]) == (0.5, None, None, None)
    assert (nfe["better"], nfe["worse"], nfe["pairs"], nfe["shows_no_difference"]) == (10, 0, 10, False)
    assert {"accuracy", "rows_in_flight"}.isdisjoint(each["figure"] for each in comparison["ratios"])
    assert comparison["answers"] == {
        "questions": 3,
        "first": 0,
        "second": 0,
        "p": 1.0,
        "shows_no_difference": True,
    }


def test_people_read_which_is_better_and_where_nothing_is_shown(bench: Llada) -> None:
    out = bench("--compare", "singles", "pairs", "--repeats", "6", "--gen-length", "16").out
    assert "A: singles\nB: pairs\n" in out
    rows = {line.split("  ")[0]: line for line in out.partition("A: ")[2].splitlines()}
    assert rows["NFE"].endswith("0.500  same in every round            -  B is better on these questions")
    assert "right %" not in rows
    assert "\nright answers: 3 question(s), right by A as often as by B\n" in out
    assert "6 pairs, A and B in turn first; medians of B/A, and intervals that hold them in 96.9 % of" in out


@pytest.mark.parametrize(
    ("wrong", "p", "verdict"), [(1, "1.000", "no difference shown"), (7, "0.016", "A is better")]
)
def test_accuracies_are_told_apart_by_questions_and_not_by_rounds(
    bench: Llada, tmp_path: Path, wrong: int, p: str, verdict: str
) -> None:
    """Every round is as the others: ten of them say no more than one."""
    asked = tmp_path / "asked.jsonl"
    lines = [{"prompt": f"Hello {number}", "expected": "Hi there."} for number in range(8)]
    asked.write_text("\n".join(map(json.dumps, lines)))
    settings = ("--algorithm", "pairs", "--algorithm", "pairs", "-p", f"seed={-wrong}")
    out = bench(*settings, "--compare", "1", "2", "--gen-length", "16", asked=("--prompts", str(asked))).out
    counts = f"{wrong} right by A more often than by B, 0 by B"
    assert f"right answers: 8 question(s), {counts}; McNemar's p = {p}: {verdict}\n" in out


def test_settings_are_compared_by_number_and_stand_first(bench: Llada) -> None:
    settings = ("--algorithm", "opaque", "--algorithm", "pairs", "--algorithm", "singles")
    found = measured(
        bench(*settings, "--compare", "3", "pairs", "--repeats", "6", "--gen-length", "8,16", "--json")
    )
    assert [each["setting"] for each in found["results"]] == ["singles", "pairs", "opaque"] * 2
    assert [each["gen_length"] for each in found["comparisons"]] == [8, 16]
    assert {(each["first"], each["second"]) for each in found["comparisons"]} == {("singles", "pairs")}


# -- what fails, and what is interrupted


def test_a_setting_that_fails_is_told_and_the_others_are_measured(bench: Llada) -> None:
    status, out, err = bench("--gen-length", "8,1000", "--json")
    assert status == 1
    assert "error: pairs: gen_length 1000 after a prompt" in err
    short, long = json.loads(out)["results"]
    assert (len(short["samples"]), long["samples"]) == (3, [])
    assert "exceeds the 200 tokens" in long["error"]
    assert [short["rounds"], long["rounds"]] == [3, 0]
    assert json.loads(out)["method"]["rounds"] == 3


def test_a_setting_that_fails_half_way_is_shown_as_such(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    def failing(lm: Any, case: Any, *args: Any, **options: Any) -> Sample:
        done.append(case.label)
        if done.count("singles") == 2 and case.label == "singles":
            raise UsageError("singles is tired; let it rest")
        return measure(lm, case, *args, **options)

    monkeypatch.setattr("llada_core.cli.bench_trials.measure", failing)
    settings = ("--gen-length", "8", "--algorithm", "pairs", "--algorithm", "singles")
    status, out, err = bench(*settings, "--json-file", "out.json", "--plot", "plot.svg")
    assert status == 1, err
    assert "error: singles: singles is tired" in err
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert rows["setting"].endswith("  rounds")
    assert rows["pairs"].endswith("  3 of 3")
    assert rows["singles"].endswith("  1 of 3, then failed")
    assert [each["rounds"] for each in json.loads((here / "out.json").read_text())["results"]] == [3, 1]
    drawn = (here / "plot.svg").read_text()
    assert "<!-- pairs -->" in drawn
    assert "<!-- singles, failed -->" in drawn


def test_where_every_setting_fails_that_is_the_error(bench: Llada) -> None:
    assert "exceeds the 200 tokens" in error(bench("--gen-length", "1000"), status=2)


def test_an_interrupted_run_tells_what_it_has(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    def interrupted(*args: Any, **options: Any) -> Sample:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append("one")
        return measure(*args, **options)

    monkeypatch.setattr("llada_core.cli.bench_trials.measure", interrupted)
    ran = bench(
        "--algorithm", "pairs", "--algorithm", "singles", "--repeats", "200", "--json-file", "out.json"
    )
    assert ran.status == 130
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert rows["pairs"].endswith("  1 of 200")
    assert rows["singles"].endswith("  2 of 200")
    assert "\ninterrupted after 1 of 200 rounds, after 1 warm-up(s)" in ran.out
    found = json.loads((here / "out.json").read_text())
    assert [found["method"][name] for name in ("repeats", "rounds", "interrupted")] == [200, 1, True]
    assert [each["rounds"] for each in found["results"]] == [1, 2]
    assert [len(each["samples"]) for each in found["results"]] == [1, 2]


@pytest.fixture
def interrupted_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that lets Ctrl-C come once so many cases are measured."""

    def at(count: int) -> None:
        done = list[str]()

        def interrupted(*args: Any, **options: Any) -> Sample:
            if len(done) == count:
                raise KeyboardInterrupt
            done.append("one")
            return measure(*args, **options)

        monkeypatch.setattr("llada_core.cli.bench_trials.measure", interrupted)

    return at


def test_what_ctrl_c_left_unmeasured_is_told_as_such(
    bench: Llada, here: Path, interrupted_after: Callable[[int], None]
) -> None:
    interrupted_after(1)
    settings = ("--algorithm", "pairs", "--algorithm", "singles", "-p", "threshold=0.5")
    ran = bench(*settings, "--json-file", "out.json", "--plot", "plot.svg")
    assert ran.status == 130
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert rows["pairs"].endswith("  1 of 3")
    assert rows["singles"].endswith("  not measured")
    assert "length" not in rows["setting"], "the length of what has no answer is not another one"
    assert [each["rounds"] for each in json.loads((here / "out.json").read_text())["results"]] == [1, 0]
    assert "singles" not in (here / "plot.svg").read_text()


def test_an_end_before_anything_is_measured_says_so(
    bench: Llada, here: Path, interrupted_after: Callable[[int], None]
) -> None:
    interrupted_after(0)
    said = "ended before anything was measured; no figures are told, and no file is written\n"
    assert bench("--json-file", "out.json") == (130, "", said)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("failing", "at", "told"),
    [
        ("singles", 1, "B failed: singles is tired; let it rest"),
        ("pairs", 0, "A failed: pairs is tired; let it rest"),
    ],
)
def test_a_comparison_of_which_a_side_failed_says_that_there_is_none_and_why(
    bench: Llada, here: Path, monkeypatch: pytest.MonkeyPatch, failing: str, at: int, told: str
) -> None:
    done = list[str]()

    def fail(lm: Any, case: Any, *args: Any, **options: Any) -> Sample:
        done.append(case.label)
        if case.label == failing and done.count(failing) > at:
            raise UsageError(f"{failing} is tired; let it rest")
        return measure(lm, case, *args, **options)

    monkeypatch.setattr("llada_core.cli.bench_trials.measure", fail)
    compare = ("--compare", "pairs", "singles", "--gen-length", "8")
    status, out, err = bench(*compare, "--json-file", "out.json")
    assert status == 1
    assert f"error: {failing}: {failing} is tired" in err
    assert out.endswith(f"\nA: pairs\nB: singles\nnothing is compared: {told}\n")
    row = next(line for line in out.splitlines() if line.startswith(f"{failing} "))
    assert row.endswith("  1 of 10, then failed" if at else "  failed")
    found = json.loads((here / "out.json").read_text())
    sides = {"first": "pairs", "second": "singles", "gen_length": 8, "batch": 1}
    assert (found["comparisons"], found["not_compared"]) == ([], [{**sides, "reason": told}])


def test_a_comparison_that_ctrl_c_left_with_too_few_pairs_says_so(
    bench: Llada, interrupted_after: Callable[[int], None]
) -> None:
    interrupted_after(5)
    ran = bench("--compare", "pairs", "singles", "--gen-length", "8")
    assert ran.status == 130
    assert ran.out.endswith("\nnothing is compared: 2 round(s) of both show nothing for sure; it takes 6\n")


def test_memory_that_the_system_does_not_tell_is_no_figure(
    bench: Llada, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memories, "_CLEAR", tmp_path / "no" / "clear_refs")
    status, out, err = bench("--gen-length", "8")
    assert status == 0
    assert "peak memory" not in out
    assert "peak memory is not told: this system does not let a process count" in err


def test_rows_that_wait_for_memory_are_told(bench: Llada, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = load_target("fake_engine:FakeLoop")
    admit = loop.admit
    monkeypatch.setattr(loop, "admit", lambda self, row: len(self.sequences) < 2 and admit(self, row))
    status, out, err = bench("--gen-length", "8", "--batch", "2,3", "--json")
    assert status == 0
    assert "pairs, batch 3: 2 of 3 rows were in flight together at most: the memory holds no more\n" in err
    assert [result["samples"][0]["rows"] for result in json.loads(out)["results"]] == [2, 2]


def test_rows_that_run_out_of_questions_are_told_and_counted(bench: Llada, prompts: str) -> None:
    """4 questions are 2 waves of 3 rows: the second has one row, so that there are 2 on average."""
    status, out, err = bench("--gen-length", "32", "--batch", "1,3")
    assert status == 0
    few = "4 answers a round are few, and rows that end late run with fewer beside them"
    assert err == f"batch 3: {few}; see rows in flight, or ask 12 or more\n"
    assert "  rows in flight  " in out
    rows = [line.split() for line in out.splitlines() if line.startswith("pairs ")]
    assert [("1.00" in row, "2.00" in row[7:9]) for row in rows] == [(True, False), (False, True)]
    assert "rows in flight" not in bench("--gen-length", "32", "--batch", "1").out
    Path(prompts).write_text(PROMPTS * 3)
    assert bench("--gen-length", "32", "--batch", "3").err == ""


def test_what_an_algorithm_tells_of_its_answers_is_told_once(
    bench: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_target("fake_engine:Row"), "warnings", ("It guesses.",))
    assert bench("--gen-length", "32", "--algorithm", "singles").err == "warning: singles: It guesses.\n"


@pytest.mark.parametrize("sizes", [("--batch", "2000000000"), ("--gen-length", "9" * 5000), ("--batch", "0")])
def test_sizes_beyond_all_machines_are_refused_at_once(bench: Llada, sizes: tuple[str, str]) -> None:
    status, _, err = bench(*sizes)
    assert status == 2
    assert "is too large" in err or "is no number from 1 on" in err
    assert len(err) < 400


def test_a_wrong_answer_that_is_expected_is_told_with_its_file(llada: Llada, tmp_path: Path) -> None:
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"prompt": "Hello"}\n{"prompt": "a", "expected": 3}\n')
    _, _, err = llada("bench", "--prompts", str(asked))
    assert f"{asked}, line 2: expected is no answer" in err
