"""``llada generate --prompts``: many prompts of a file, answered in order."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core.cli.progress import busy_bar, lines_bar, prompts_bar
from llada_core.cli.prompts import prompts_of_file
from llada_core.errors import PromptError
from tests.support.program import Llada, Ran, error

pytestmark = pytest.mark.usefixtures("world")
HI = {"role": "user", "content": "Hello"}


@pytest.fixture
def answer(llada: Llada, folder: Path, tmp_path: Path) -> Callable[..., Ran]:
    """A function that writes ``lines`` into a file and runs ``llada generate --prompts`` on it."""

    def call(*lines: Any, options: tuple[str, ...] = (), name: str = "prompts.txt") -> Ran:
        file = tmp_path / name
        written = [line if isinstance(line, str | bytes) else json.dumps(line) for line in lines]
        file.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in written))
        limit = ("--max-tokens", "32")
        return llada("generate", "--prompts", str(file), "--model", str(folder), *limit, *options)

    return call


def records(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def test_each_line_of_text_is_a_prompt(answer: Any) -> None:
    status, out, err = answer("One", "", "  Two\r")
    assert (status, out) == (0, "==> line 1 <==\nHi there.\n\n==> line 3 <==\nHi there.\n")
    assert err.startswith("2 answers · NFE 32 · 18 tokens · 0.56 tokens/forward · ")
    assert err.endswith(" tokens/s · pairs (fake)\n")


def test_json_lines_give_one_object_each_with_what_was_asked(answer: Any) -> None:
    asked = [{"prompt": "Hello", "id": "first"}, {"messages": [HI]}, {"prompt": [104, 105]}]
    ran = answer(*asked, options=("--json",))
    assert [(each["line"], each["input"], each["text"]) for each in records(ran)] == [
        (number, line, "Hi there.") for number, line in enumerate(asked, start=1)
    ]
    assert records(ran)[2]["usage"]["prompt_tokens"] == 2


def test_stdin_is_read_too(llada: Llada, folder: Path) -> None:
    arguments = ("generate", "--prompts", "-", "--model", str(folder), "--json")
    ran = llada(*arguments, typed=b'{"prompt": "One"}\n{"prompt": "Two"}\n')
    assert [each["input"] for each in records(ran)] == [{"prompt": "One"}, {"prompt": "Two"}]


def test_a_name_may_say_that_lines_are_json(answer: Any) -> None:
    assert "line 1: not JSON" in error(answer("Hello", name="prompts.jsonl"), status=2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": ', "not JSON (Expecting value: line 1 column 12 (char 11)); write {"),
        ({"text": "Hello"}, "it holds no prompt, or several; write {"),
        ({"prompt": "Hello", "messages": [HI]}, "it holds no prompt, or several; write {"),
        ({"prompt": 3}, "it holds no prompt, or several; write {"),
        ("[1]", "it holds no prompt, or several; write {"),
        (b"caf\xe9", "byte 0xe9 at column 4 is not text in utf-8; convert it"),
    ],
)
def test_a_bad_line_names_file_and_line_before_anything_is_run(
    answer: Any, tmp_path: Path, line: Any, said: str
) -> None:
    told = error(answer({"prompt": "Hello"}, "", line, line), status=2)
    assert told.startswith(f"error: {tmp_path}/prompts.txt, line 3: {said}")
    assert told.endswith("; so for 1 more, lines 4\n")


@pytest.mark.parametrize("field", ["parameters", "algorithm", "raw"])
def test_what_a_line_cannot_say_is_refused(answer: Any, field: str) -> None:
    status, out, err = answer(f'{{"prompt": "one", "id": 7, "{field}": {{}}}}\n')
    assert (status, out) == (2, "")
    assert f"line 1: it gives {field}, which holds for all lines; leave it out, and give -" in err


def test_an_empty_file_is_a_wrong_call(answer: Any) -> None:
    assert "holds no prompt; write one a line" in error(answer("", " "), status=2)


def test_a_prompt_that_fails_does_not_lose_the_others(answer: Any) -> None:
    lines = ("One", "x" * 300, "Two")
    status, out, err = answer(*lines)
    assert (status, out) == (1, "==> line 1 <==\nHi there.\n\n==> line 3 <==\nHi there.\n")
    assert "error: line 2: " in err
    assert "shorten the prompt" in err
    assert "2 answers · 1 failed · " in err
    ran = answer(*lines, options=("--json",))
    assert [("error" in each, each["line"]) for each in records(ran)] == [(False, 1), (True, 2), (False, 3)]
    assert ran.status == 1


def test_the_prompts_of_a_file_share_forwards_up_to_the_rows(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    original = importlib.import_module("fake_engine").FakeLoop.step
    monkeypatch.setattr(
        "fake_engine.FakeLoop.step", lambda self: counts.append(self.active) or original(self)
    )
    answer("One", "Two", "Three", options=("--rows", "2"))
    assert set(counts) == {2, 1}
    assert max(counts) == 2


def test_settings_are_compared_over_all_prompts(answer: Any) -> None:
    options = ("--algorithm", "pairs", "--algorithm", "singles", "-p", "seed=1")
    status, out, err = answer("One", "Two", options=options)
    headings = [line for line in out.splitlines() if line.startswith("==>")]
    assert (status, headings) == (
        0,
        [f"==> line {n}, {s} <==" for s in ("pairs", "singles seed=1") for n in (1, 2)],
    )
    _, _, first, second, answers, conditions = err.splitlines()
    assert first.split()[:4] == ["pairs", "18", "32", "0.56"]
    assert second.split()[:5] == ["singles", "seed=1", "18", "64", "0.28"]
    assert [first.split()[-1], second.split()[-1]] == ["2/2", "2/2"]
    assert answers == "answer: how many of 2 are word for word those of pairs"
    assert conditions.startswith("each setting ran alone, after a few steps to warm up, up to 2 prompts a fo")
    ran = answer("One", "Two", options=(*options, "--json"))
    assert [(each["setting"], each["line"]) for each in records(ran)] == [
        (setting, line) for setting in ("pairs", "singles seed=1") for line in (1, 2)
    ]
    assert all(each["same_answer_as_first"] for each in records(ran))


def test_each_prompt_draws_from_a_seed_of_its_own(answer: Any) -> None:
    ran = answer("One", "Two", options=("--json", "--seed", "5"))
    assert [each["parameters"]["seed"] for each in records(ran)] == [5, 6]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff"))))
def test_every_line_of_text_that_is_not_blank_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    file = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    file.write_text("\n".join(["first", *lines]), encoding="utf-8", newline="")
    kept = [(n, line) for n, line in enumerate(["first", *lines], start=1) if line.strip()]
    assert [(entry.line, entry.prompt) for entry in prompts_of_file(str(file))] == kept


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("Hello\n", encoding="utf-8-sig")
    assert [entry.prompt for entry in prompts_of_file(str(file))] == ["Hello"]
    file.write_text("Hello\n", encoding="utf-16")
    with pytest.raises(PromptError, match="line 1: byte 0xff at column 1"):
        prompts_of_file(str(file))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_of_loading_counts_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    seen = []
    for stderr in (Terminal(), io.StringIO()):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", stderr)
            with busy_bar("Loading x") as bar:
                bar.tell("Preparing steps")(1, 3)
        seen.append(stderr.getvalue())
    assert "Preparing steps, 1 of 3" in seen[0]
    assert seen[1] == ""


def test_a_bar_of_lines_counts_on_from_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal := Terminal())
        with lines_bar("Answering", 9, done=4) as bar:
            bar.describe("Answering, 1 [b]failed[/b]")
            bar.advance(2)
    assert "Answering, 1 [b]failed[/b]" in terminal.getvalue()
    assert "6/9" in terminal.getvalue()


def test_lines_stand_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal := Terminal())
        with lines_bar("Answering", 9, done=4) as bar:
            assert bar.above is not None
            bar.advance(1)
            bar.above.write("ERROR: [b]request[/b] 7 failed\n")
            bar.advance(1)
    before, _, after = terminal.getvalue().partition("ERROR: [b]request[/b] 7 failed\n")
    assert before.endswith("\r\x1b[2K")  # the bar is wiped off its line
    assert "6/9" in after
    with lines_bar("Answering", 9, done=4) as bar:
        assert bar.above is None


def test_the_bar_is_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    seen = []
    for stderr in (Terminal(), io.StringIO()):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", stderr)
            with prompts_bar("[red]x[/]", 3) as bar:
                bar.advance(2)
                with bar.away():
                    stderr.write("an answer\n")
        seen.append(stderr.getvalue())
    assert seen[1] == "an answer\n"
    assert "[red]x[/]" in seen[0]
    assert "2/3" in seen[0]
