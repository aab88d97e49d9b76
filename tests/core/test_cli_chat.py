"""``llada chat``, through a pipe."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llada_core import (
    LoadedModel,
    ParameterError,
    UsageError,
    load_model,
    load_target,
    register_algorithm,
    standard,
)
from llada_core.cli.conversation import Conversation
from llada_core.cli.program import run
from tests.support.program import Llada, Ran, error, notes_of

pytestmark = pytest.mark.usefixtures("world")


class PanicException(BaseException):
    """What compiled code behind a tokenizer raises: no Exception, and no interrupt either."""


@pytest.fixture
def chat(llada: Llada, folder: Path) -> Llada:
    """A function that types ``lines`` into ``llada chat``."""

    def call(*lines: str | bytes, options: tuple[str, ...] = ()) -> Ran:
        typed = b"".join(line.encode() + b"\n" if isinstance(line, str) else line + b"\n" for line in lines)
        return llada("chat", "--model", str(folder), "--max-tokens", "32", *options, typed=typed)

    return call


@pytest.fixture
def conversation(folder: Path) -> Iterator[Conversation]:
    with load_model(folder) as lm:
        yield Conversation(model=lm, parameters={"gen_length": 12})


def test_each_turn_is_answered_until_the_input_ends(chat: Any) -> None:
    ran = chat("Hello", "", "And?")
    assert (ran.out, notes_of(ran)) == ("Hi there.\n" * 2, [])
    assert ran.err.count("NFE ") == 2


def test_exit_ends_it(chat: Any) -> None:
    assert chat("/exit", "Hello") == (0, "", "")


def test_the_history_is_kept_and_reset(chat: Any) -> None:
    _, out, err = chat("Hello", "Hello", "/reset", "Hello", options=("--json",))
    first, second, third = (json.loads(line)["usage"]["prompt_tokens"] for line in out.splitlines())
    assert first < second
    assert third == first
    assert err == "a new conversation\n"


def test_algorithm_and_parameters_can_be_changed(chat: Any) -> None:
    _, out, err = chat("/algorithm singles", "/set max_tokens=10", "Hello", options=("--json",))
    result = json.loads(out)
    assert (result["algorithm"], result["nfe"], result["parameters"]["gen_length"]) == ("singles", 10, 10)
    assert err.splitlines() == ["algorithm singles", "max_tokens=10"]


@pytest.mark.parametrize("name", ["gen_length", "max_tokens", "max_new_tokens"])
def test_a_parameter_is_left_out_under_any_of_its_names(chat: Any, name: str) -> None:
    assert notes_of(chat("/set max_new_tokens=9", f"/unset {name}")) == ["max_new_tokens=9", "defaults"]


def test_algorithm_without_a_name_is_the_default_and_says_which(chat: Any) -> None:
    ran = chat("/algorithm singles", "/algorithm", "/settings")
    first, second, *settings = notes_of(ran)
    assert (first, second) == ("algorithm singles", "algorithm pairs, the default")
    assert "algorithm  pairs, the default · max_tokens=32" in settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threshold": 0.5}, "plain does not take threshold=0.5; /unset threshold, or give threshold=none"),
        ({"confidence_threshold": 0.5}, "/unset confidence_threshold, or give"),
        ({"seed": 1}, "plain does not take seed=1; /unset seed, or give seed=none"),
        ({"max_tokens": 4, "gen_length": 5}, "; or leave it out: /unset gen_length"),
    ],
)
def test_what_the_next_algorithm_does_not_take_is_left_out_by_the_command_that_is_told(
    conversation: Conversation, given: dict[str, Any], said: str
) -> None:
    class Plain(load_target("fake_engine:Singles")):  # type: ignore[misc]
        name, engine, parameters = "plain", "fake", (standard("gen_length"),)

    register_algorithm(Plain)
    conversation.parameters = given
    with pytest.raises(UsageError) as refused:
        conversation.choose_algorithm("plain")
    assert said in str(refused.value)
    told = str(refused.value).partition("/unset ")[2].split(",")[0].split(";")[0]
    conversation.unset_parameter(told)
    conversation.choose_algorithm("plain")


def test_a_wrong_line_is_told_and_the_conversation_goes_on(chat: Any) -> None:
    ran = chat("/sett x=1", "/set threshold=2", "/algorithm alien", "/unset seed", "Hello")
    assert ran.out == "Hi there.\n"
    assert [line.startswith("error: ") for line in notes_of(ran)] == [True] * 4
    assert "there is no command /sett; did you mean /set? /help lists them all" in ran.err
    assert "no parameter 'seed' is set; those that are: max_tokens" in ran.err


def test_a_failed_turn_is_forgotten(chat: Any) -> None:
    _, out, err = chat("x" * 300, "Hello", options=("--json",))
    assert "shorten the prompt" in err
    assert json.loads(out)["usage"]["prompt_tokens"] < 100


def test_a_chat_that_is_too_long_says_how_to_go_on(chat: Any) -> None:
    status, out, err = chat("x" * 60, "x" * 60, "x" * 60, "/reset", "x" * 60, options=("--json",))
    assert (status, len(out.splitlines())) == (0, 2)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert all(line.endswith("; the 2 earlier messages count too: /reset forgets them") for line in errors)


def test_a_line_that_is_too_long_by_itself_is_no_matter_of_the_turns(chat: Any) -> None:
    _, _, err = chat("Hello", "x" * 300, "<|mdm_mask|>", options=("--json",))
    assert err.count("error: ") == 2
    assert "/reset" not in err


@pytest.mark.parametrize("failure", [RuntimeError("out of\nmemory"), PanicException("it broke")])
def test_whatever_an_algorithm_raises_ends_the_turn_only(
    chat: Any, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    stream = LoadedModel.stream

    def failing_once(self: LoadedModel, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(LoadedModel, "stream", stream)
        raise failure

    monkeypatch.setattr(LoadedModel, "stream", failing_once)
    ran = chat("Hello", "Hello")
    (line,) = notes_of(ran)
    assert (ran.out, line.startswith("error: ")) == ("Hi there.\n", True)
    assert f"({type(failure).__name__}; run again with --debug" in line


def test_a_line_that_is_no_text_ends_the_turn_only(chat: Any) -> None:
    ran = chat("Hello", b"caf\xe9", "Hello")
    assert ran.out == "Hi there.\n" * 2
    (line,) = notes_of(ran)
    assert line.startswith("error: this line: byte 0xe9 at column 4 is not text in utf-8; convert it")


def test_a_closed_stdin_is_a_wrong_call(llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "stdin is closed, so there is nobody to talk to" in error(
        llada("chat", "--model", str(folder)), status=2
    )


def test_settings_say_what_one_talks_to(chat: Any, folder: Path) -> None:
    ran = chat("/algorithm singles", "/settings", "/unset max_tokens", options=("--system", "Be brief."))
    assert notes_of(ran) == [
        "algorithm singles",
        f"model      {folder}",
        "engine     fake · cpu",
        "algorithm  singles · max_tokens=32",
        "system     Be brief.",
        "defaults",
    ]


def test_the_system_message_comes_first(conversation: Conversation) -> None:
    *_, plain = conversation.reply("Hello")
    conversation.reset("")
    conversation.system = "Be brief."
    *_, told = conversation.reply("Hello")
    assert plain.result
    assert told.result
    assert told.result.prompt_tokens > plain.result.prompt_tokens
    assert [turn["role"] for turn in conversation.turns] == ["user", "assistant"]


def test_setting_replaces_another_spelling_of_the_parameter(conversation: Conversation) -> None:
    assert conversation.set_parameter("max_tokens=7") == "max_tokens=7"
    assert conversation.parameters == {"max_tokens": 7}


def test_what_is_refused_changes_nothing(conversation: Conversation) -> None:
    with pytest.raises(ParameterError):
        conversation.set_parameter("threshold=7")
    with pytest.raises(UsageError):
        conversation.choose_algorithm("alien")
    assert (conversation.parameters, conversation.algorithm) == ({"gen_length": 12}, None)


def test_ctrl_c_ends_the_turn_only(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = LoadedModel.stream

    def interrupted_once(self: LoadedModel, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(LoadedModel, "stream", stream)
        raise KeyboardInterrupt

    monkeypatch.setattr(LoadedModel, "stream", interrupted_once)
    ran = chat("Hello", "Hello")
    assert (ran.out, notes_of(ran)) == ("Hi there.\n", ["", "stopped; this turn is forgotten"])


# -- on a terminal


class Terminal(io.StringIO):
    """A stdin or stdout that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that types lines, or lets an exception happen, at the prompts of ``llada chat``."""

    def call(*typed: str | BaseException, stdout: Any = None) -> tuple[int, str, str]:
        script = iter(typed)

        def asked(prompt: str = "") -> str:
            answer = next(script, EOFError())
            if isinstance(answer, BaseException):
                raise answer
            return answer

        stdout = stdout or Terminal()
        with monkeypatch.context() as patch:
            patch.setattr("builtins.input", asked)
            patch.setattr("sys.stdin", Terminal())
            patch.setattr("sys.stdout", stdout)
            status = run(["chat", "--model", str(folder), "--max-tokens", "32"])
        return status, stdout.getvalue(), capsys.readouterr().err

    return call


def test_chat_says_what_one_talks_to(typing: Any, folder: Path) -> None:
    _, _, err = typing()
    assert err.splitlines()[:4] == [
        f"model      {folder}",
        "engine     fake · cpu",
        "algorithm  pairs, the default · max_tokens=32",
        "/help lists the commands. Ctrl-C stops an answer; at the prompt, a second one ends the "
        "conversation, as Ctrl-D does.",
    ]


def test_ctrl_c_at_the_prompt_does_not_end_the_conversation(typing: Any) -> None:
    status, out, err = typing(KeyboardInterrupt(), "Hello", KeyboardInterrupt(), "Hello", EOFError(), "Hello")
    assert (status, out) == (0, "Hi there.\n" * 2)
    assert err.count("again, Ctrl-D or /exit ends the conversation") == 2


def test_a_second_ctrl_c_at_the_prompt_ends_it(typing: Any) -> None:
    assert typing(KeyboardInterrupt(), KeyboardInterrupt(), "Hello")[:2] == (0, "")


def test_the_prompt_is_not_among_answers_that_go_elsewhere(typing: Any) -> None:
    _, out, err = typing("Hello", stdout=io.StringIO())
    assert out == "Hi there.\n"
    assert "> " in err


def test_bytes_that_are_no_text_end_the_turn_on_a_terminal_too(typing: Any) -> None:
    wrong = UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "unexpected end of data")
    _, out, err = typing("caf\udce9", wrong, "Hello")
    assert out == "Hi there.\n"
    assert err.count("error: this line: ") == 2


def test_an_answer_that_is_taken_back_is_printed_anew(
    typing: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    original = Conversation.reply

    def revised(self: Conversation, text: str) -> Iterator[Any]:
        yield SimpleNamespace(result=None, ticket=SimpleNamespace(text="Ho"))
        yield from original(self, text)

    monkeypatch.setattr(Conversation, "reply", revised)
    assert typing("Hello")[1] == "Ho\nHi there.\n"
