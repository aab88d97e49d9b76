"""``llada chat``, through a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import LoadedModel, ParameterError, UsageError, load_model
from llada_core.cli.chat import Conversation
from tests.support.program import Llada, Ran

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def chat(llada: Llada, folder: Path) -> Llada:
    """A function that types ``lines`` into ``llada chat``."""

    def call(*lines: str, options: tuple[str, ...] = ()) -> Ran:
        typed = "".join(f"{line}\n" for line in lines)
        return llada("chat", "--model", str(folder), "--max-tokens", "32", *options, typed=typed)

    return call


@pytest.fixture
def conversation(folder: Path) -> Iterator[Conversation]:
    with load_model(folder) as lm:
        yield Conversation(model=lm, parameters={"gen_length": 12})


def test_each_turn_is_answered_until_the_input_ends(chat: Any) -> None:
    status, out, err = chat("Hello", "", "And?")
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if not line.startswith("NFE")] == ["Hi there."] * 2


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


def test_a_wrong_line_is_told_and_the_conversation_goes_on(chat: Any) -> None:
    status, out, err = chat("/sing", "/set threshold=2", "/algorithm alien", "Hello")
    assert status == 0
    assert out.startswith("Hi there.")
    assert [line.startswith("error: ") for line in err.splitlines()] == [True] * 3
    assert "there is no command /sing; give /algorithm NAME" in err


def test_a_failed_turn_is_forgotten(chat: Any) -> None:
    _, out, err = chat("x" * 300, "Hello", options=("--json",))
    assert "shorten the prompt" in err
    assert json.loads(out)["usage"]["prompt_tokens"] < 100


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
    status, out, err = chat("Hello", "Hello")
    assert (status, err) == (0, "\nstopped\n")
    assert out.startswith("Hi there.")
