"""``llada generate``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core.cli.live import stretches, watch
from llada_core.loading import load_model
from tests.support.program import Llada, Ran, error

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def generate(llada: Llada, folder: Path) -> Llada:
    """A function that runs ``llada generate`` on a fake checkpoint."""

    def call(*arguments: str, model: str = str(folder)) -> Ran:
        return llada("generate", "--model", model, *arguments)

    return call


def test_people_get_the_answer_alone_and_one_line_of_figures_on_stderr(generate: Any) -> None:
    status, out, err = generate("Hello", "--max-tokens", "32")
    assert (status, out) == (0, "Hi there.\n")
    (figures,) = err.splitlines()
    assert figures.startswith("NFE 16 · 9 tokens · 0.56 tokens/forward · ")
    assert figures.endswith(" · pairs (fake) · stop")


def test_programs_get_the_documented_json(generate: Any) -> None:
    result = json.loads(generate("Hello", "--json", "-p", "threshold=0.5", "--seed", "3")[1])
    assert list(result) == [
        "text",
        "finish_reason",
        "usage",
        "nfe",
        "tokens_per_forward",
        "seconds",
        "queue_seconds",
        "engine",
        "algorithm",
        "parameters",
        "warnings",
    ]
    assert result["parameters"] == {"gen_length": 128, "threshold": 0.5, "seed": 3}


def test_the_embedded_model_is_the_default(
    folder: Path, llada: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder, raising=False)
    status, out, _ = llada("generate", "Hello")
    assert status == 0
    assert out.startswith("Hi there.")


def test_a_dash_reads_the_prompt_from_stdin(generate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("two\nlines\n"))
    result = json.loads(generate("-", "--raw", "--json")[1])
    assert result["usage"]["prompt_tokens"] == len("two\nlines")


def test_stdin_that_is_no_text_says_which_byte_where(llada: Llada, folder: Path) -> None:
    ran = llada("generate", "-", "--model", str(folder), typed=b"one\ncaf\xe9\n")
    assert "stdin: byte 0xe9 at line 2, column 4 is not text in utf-8; convert it" in error(ran, status=2)


def test_a_closed_stdin_is_a_wrong_call(generate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "stdin is closed, so there is no prompt to read" in error(generate("-"), status=2)


def test_live_without_a_terminal_is_plain(generate: Any) -> None:
    assert generate("Hello", "--live")[1].startswith("Hi there.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Hello", "--algorithm", "pair"), "no algorithm is called 'pair'; did you mean pairs"),
        (("Hello", "--algorithm", "Two"), "did you mean two"),
        (("Hello", "-p", "threshold=2"), "threshold=2 is out of range; give a number from 0 to 1"),
        (("Hello", "-p", "gen_length=0"), "gen_length=0 is out of range; give an integer, 1 or more"),
        (("Hello", "-p", "block_length=0"), "pairs does not take block_length"),
        (("Hello", "-p", "threshold"), "is not an assignment; write name=value"),
        (("Hello", "-p", "seed=1", "--seed", "2"), "seed is given by -p and by --seed; give it once"),
        (("Hello", "--max-tokens", "1000"), "exceeds the 200 tokens that the model takes; give a gen_length"),
        (("Hello", "--max-tokens", "many"), "see llada generate --help"),
        (("Hello", "--algorithm", "alien"), "give one of guest, opaque, pairs, singles"),
        (("",), "the prompt is empty; write what is to be answered"),
        (("<|mdm_mask|>",), "holds the mask token (id 258)"),
        (("Hello", "--engine", "fak"), "did you mean fake"),
        ((), "Missing argument 'PROMPT'; give it, or --prompts FILE; see llada generate --help"),
        (("caf\udce9",), "the prompt: byte 0xe9 at column 4 is not text in utf-8; convert it"),
        (("a\ud83d",), "the prompt is no text at position 1: a lone surrogate stands there (U+D83D)"),
        (("Hello", "--live", "--prompts", "x"), "a prompt and --prompts are both given; give one of them"),
        (("--live", "--prompts", "x"), "--live shows one answer at a time; leave it out with --prompts"),
        (("--prompts", "[/]"), "--prompts: [/] cannot be read (No such file or directory); give a file"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(generate: Any, arguments: tuple[str, ...], said: str) -> None:
    assert said in error(generate(*arguments), status=2)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"damaged": True}, "tensor wte.weight is missing; download the weights again"),
        ({"model_type": "bert"}, "fake takes llada"),
        ({"with_tokenizer": False}, "has no tokenizer, so text cannot be encoded; give token ids"),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_status_1(
    generate: Any, make_folder: Callable[..., Path], config: dict[str, Any], said: str
) -> None:
    assert said in error(generate("Hello", model=str(make_folder(**config))), status=1)


def test_a_missing_folder_is_status_1(generate: Any, tmp_path: Path) -> None:
    assert "there is no folder" in error(generate("Hello", model=str(tmp_path / "nowhere")), status=1)


def test_an_unavailable_algorithm_is_status_1(generate: Any) -> None:
    assert "broken cannot run here" in error(generate("Hello", "--algorithm", "broken"), status=1)


# -- the live view


def test_the_canvas_is_seen_in_stretches_up_to_its_end() -> None:
    canvas = (5, 6, None, None, 7, 1, None)
    assert list(stretches(canvas, fresh={1, 4}, ends={1})) == [
        ("settled", [5]),
        ("fresh", [6]),
        ("mask", [0, 0]),
        ("fresh", [7]),
    ]


def test_watching_ends_with_the_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with load_model(folder) as lm:
        result = watch(lm.stream("Hello", max_tokens=8), lm.model)
    assert result.text == "Hi there"
