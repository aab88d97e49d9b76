"""Text on its way in and out of the program: encodings, closed streams, terminals, and what users type."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core.cli.program import run
from llada_core.cli.streams import check_text, columns_of, line_of, printable
from llada_core.errors import PromptError
from tests.support.program import Llada, error

pytestmark = pytest.mark.usefixtures("world")


class Stdout(io.TextIOWrapper):
    """A stdout of some encoding, and maybe a terminal."""

    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        return self.written.getvalue().decode(self.encoding)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function that runs ``llada`` with this stdout; exit status, what stands there, and stderr."""

    def call(stdout: Any, *arguments: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stdout)
            status = run(arguments)
        return status, getattr(stdout, "text", ""), capsys.readouterr().err

    return call


# -- encodings


def test_an_answer_that_stdout_cannot_hold_is_escaped_and_that_is_said(
    on: Any, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(reply="2 → Привет")
    status, out, err = on(Stdout("cp1252"), "generate", "Hello", "--model", str(folder))
    assert (status, out) == (0, "2 \\u2192 \\u041f\\u0440\\u0438\\u0432\\u0435\\u0442\n")
    assert "note: stdout's encoding, cp1252, lacks some characters, which are written as \\u2192" in err
    assert "\\u0432 and 2 more; set PYTHONIOENCODING=utf-8, or give --json" in err


def test_an_answer_that_stdout_can_hold_is_as_it_is(on: Any, make_folder: Callable[..., Path]) -> None:
    folder = make_folder(reply="Grüße → x")
    _, out, err = on(Stdout("utf-8"), "generate", "Hello", "--model", str(folder))
    assert out == "Grüße → x\n"
    assert "note:" not in err


def test_json_is_ascii_where_stdout_cannot_hold_it(on: Any, make_folder: Callable[..., Path]) -> None:
    folder = make_folder(reply="2 → Привет")
    status, out, err = on(Stdout("cp1252"), "generate", "Hello", "--json", "--model", str(folder))
    assert (status, json.loads(out)["text"], err) == (0, "2 → Привет", "")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("command", [("detect",), ("doctor", "--model")])
@pytest.mark.parametrize("name", ["Модель", "b\udcffd"])
def test_json_holds_any_path(
    on: Any, folder: Path, command: tuple[str, ...], encoding: str, name: str
) -> None:
    model = folder.rename(folder.parent / name)
    status, out, err = on(Stdout(encoding), *command, str(model), "--json")
    report = json.loads(out)
    assert (status, err, report.get("path") or report["model"]["path"]) == (0, "", str(model))


def test_what_other_commands_print_is_not_lost_either(on: Any, folder: Path) -> None:
    """They know nothing of encodings: stdout takes every character from whoever writes."""
    model = folder.rename(folder.parent / "Модель")
    status, out, err = on(Stdout("cp1252"), "doctor", "--model", str(model))
    assert (status, "\\u041c\\u043e\\u0434\\u0435\\u043b\\u044c" in out) == (0, True)
    assert err.startswith("note: stdout's encoding, cp1252, lacks some characters")


def test_the_choice_of_a_user_about_errors_is_kept(on: Any, make_folder: Callable[..., Path]) -> None:
    stdout = Stdout("ascii")
    stdout.reconfigure(errors="replace")
    _, out, err = on(stdout, "generate", "Hello", "--model", str(make_folder(reply="ü")))
    assert (out, "note:" in err) == ("?\n", False)


def test_what_was_before_is_put_back(on: Any, folder: Path) -> None:
    stdout = Stdout("ascii")
    on(stdout, "engines")
    assert stdout.errors == "strict"


# -- streams that are closed, full or left


@pytest.mark.parametrize("arguments", [("engines",), ("detect", "x", "--json"), ("generate", "x"), ("chat",)])
def test_a_closed_stdout_is_said_before_work_is_done(on: Any, arguments: tuple[str, ...]) -> None:
    status, _, err = on(None, *arguments)
    said = "error: stdout is closed, so no answer can be written; send it to a file or pipe\n"
    assert (status, err) == (1, said)


def test_a_full_disk_is_told(on: Any, folder: Path) -> None:
    class Full(Stdout):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    status, _, err = on(Full("utf-8"), "detect", str(folder))
    said = "error: stdout cannot be written (No space left on device); make room, or send it elsewhere\n"
    assert (status, err) == (1, said)


def test_streams_that_the_shell_closed_are_no_traceback() -> None:
    command = f"{sys.executable} -m llada_core generate - <&-; {sys.executable} -m llada_core engines >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert [line.partition(",")[0] for line in done.stderr.splitlines()] == [
        "error: stdin is closed",
        "error: stdout is closed",
    ]


# -- what users type is printed, and never interpreted

NAMES = ["[bold]x[/bold]", "[red]", "[", "[link=https:]x", "e\x1b[31mx", "a\u202eb", "\x9b2J", "b\udcff"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_printed_as_it_is_and_no_terminal_obeys_it(
    on: Any, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).symlink_to(folder)
    shown = printable(name)
    for arguments in (
        ("generate", "Hello", "--model", f"{name}/nowhere"),
        ("generate", "--prompts", f"{name}/nowhere"),
        ("detect", f"{name}/nowhere"),
        ("chat", "--model", f"{name}/nowhere"),
        ("doctor", "--model", f"{name}/nowhere"),
    ):
        status, out, err = on(Stdout("utf-8", terminal=True), *arguments)
        assert status in (1, 2)
        assert shown in err
        assert name.isprintable() or name not in out + err
    if "\udcff" not in name:  # the library of tokenizers opens no such file
        ran = on(Stdout("utf-8", terminal=True), "generate", "Hello", "--model", name)
        assert ran[:2] == (0, "Hi there.\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_nobody_has_is_printed_as_it_is(llada: Llada, name: str) -> None:
    for arguments in ((name,), ("algorithms", name), ("engines", name)):
        said = error(llada(*arguments), status=2)
        assert name.isprintable() or name not in said
        assert printable(name) in said.replace("\\\\", "\\")


def test_an_answer_moves_no_cursor_and_a_file_has_it_whole(on: Any, make_folder: Callable[..., Path]) -> None:
    answer = "a\x1b[2Jb\tc"
    arguments = ("generate", "Hello", "--model", str(make_folder(reply=answer)))
    assert on(Stdout("utf-8", terminal=True), *arguments)[1] == "a\\x1b[2Jb\tc\n"
    assert on(Stdout("utf-8"), *arguments)[1] == f"{answer}\n"


@given(st.text())
def test_a_line_that_is_printed_can_do_no_harm(text: str) -> None:
    line = line_of(text)
    assert "\n" not in line
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in line)
    line.encode("utf-8")


@given(st.binary())
def test_only_bytes_that_are_text_pass(read: bytes) -> None:
    text = read.decode("utf-8", errors="surrogateescape")
    try:
        read.decode("utf-8")
    except UnicodeDecodeError as exc:
        with pytest.raises(PromptError, match=f"source: byte 0x{read[exc.start]:02x} at "):
            check_text(text, "source")
    else:
        assert check_text(text, "source") == text


@pytest.mark.parametrize("code", [0xD83D, 0xDC00, 0xDFFF])
def test_half_a_character_that_is_no_byte_is_for_the_encoding_of_prompts_to_refuse(code: int) -> None:
    assert check_text(f"cut {chr(code)}", "source") == f"cut {chr(code)}"


# -- terminals


def test_a_listing_fits_the_terminal_and_a_pipe_has_a_line_each(
    on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, narrow, _ = on(Stdout("utf-8", terminal=True), "algorithms")
    assert max(map(len, narrow.splitlines())) <= 60
    _, piped, _ = on(Stdout("utf-8"), "algorithms")
    assert len(piped.splitlines()) == 1 + len(json.loads(on(Stdout("utf-8"), "algorithms", "--json")[1]))


def test_what_is_no_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert columns_of(None) is None
    assert columns_of(Stdout("utf-8")) is None
    assert columns_of(Stdout("utf-8", terminal=True)) == 80
