"""Text on its way through a tokenizer: what is none, what is too much, and tokenizers that fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import LladaError, LoadedModel, PromptError, load_model

pytestmark = pytest.mark.usefixtures("world")

USER = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def prompt_of(lm: LoadedModel, text: str) -> str:
    """What the network sees of raw text."""
    ids, _ = lm.algorithm().tokenize_prompts(text, raw=True)
    decoded: str = lm.model.tokenizer.decode(ids[0])
    return decoded


# -- text that is none


@pytest.mark.parametrize(
    ("text", "position", "code"),
    [
        ("cut \ud83d", 4, "D83D"),
        ("caf\udce9\n", 3, "DCE9"),
        ("\udfff", 0, "DFFF"),
        ("a\ud83d\ude00", 1, "D83D"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("raw", [False, True])
def test_half_a_character_is_told_with_its_place(
    lm: LoadedModel, text: str, position: int, code: str, raw: bool
) -> None:
    said = rf"the prompt is no text at position {position}: a lone surrogate stands there \(U\+{code}\)"
    with pytest.raises(PromptError, match=said):
        lm.generate(text, raw=raw)


def test_it_is_told_of_which_message(lm: LoadedModel) -> None:
    with pytest.raises(PromptError, match="the content of message 1 is no text at position 2"):
        lm.generate([*USER, {"role": "user", "content": "ab\ud83d"}])


@pytest.mark.parametrize("text", ["\x00", "\x7f\x1b[0m", "\U0001f600", "\u202e", " \n\t x", "Ĩ", "\ufeff"])
def test_every_other_text_is_taken(lm: LoadedModel, text: str) -> None:
    assert lm.generate(text).text == "Hi there."
    assert prompt_of(lm, text) == text


@pytest.mark.parametrize(("text", "raw"), [("", False), ("", True), (" \n\t ", False)])
def test_text_that_asks_nothing_is_empty(lm: LoadedModel, text: str, raw: bool) -> None:
    with pytest.raises(PromptError, match="the prompt is empty; write what is to be answered"):
        lm.generate(text, raw=raw)


def test_space_is_text_to_whoever_says_raw(lm: LoadedModel) -> None:
    assert prompt_of(lm, " \n") == " \n"


def test_a_prompt_of_special_tokens_is_one(lm: LoadedModel) -> None:
    assert lm.generate("<|eot_id|><|endoftext|>", raw=True).prompt_tokens == 2
    with pytest.raises(PromptError, match=r"holds the mask token \(id 258\) at position 0"):
        lm.generate("<|mdm_mask|>", raw=True)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("raw", [False, True])
def test_a_megabyte_of_text_is_refused_soon(
    lm: LoadedModel, raw: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        PromptError, match="the prompt has more than 200 tokens and the model takes 200, answer included"
    ):
        lm.generate("word " * 200_000, raw=raw)
    assert not caplog.records


@pytest.mark.parametrize("length", [199, 200, 201])
def test_a_prompt_leaves_room_for_an_answer(lm: LoadedModel, length: int) -> None:
    if length < 200:
        assert lm.generate([65] * length, max_tokens=1).prompt_tokens == length
        return
    with pytest.raises(PromptError, match=f"the prompt has {length} tokens and the model takes 200"):
        lm.generate([65] * length, max_tokens=1)


def test_a_token_that_the_network_does_not_know_is_told_by_its_name(lm: LoadedModel) -> None:
    lm.model.tokenizer.add_tokens(["<tool>"])
    said = r"id 262 \('<tool>'\) at position 2 of the prompt is out of the vocabulary; its ids are 0 to 261"
    with pytest.raises(PromptError, match=f"{said}, and the tokenizer has more: leave that token out"):
        lm.generate("ab<tool>", raw=True)


# -- tokenizers that fail


class Panic(BaseException):
    """What a tokenizer that is written in Rust raises where it panics."""


@pytest.mark.parametrize("raised", [Panic, TypeError, SystemExit])
def test_a_tokenizer_that_cannot_encode_is_a_prompt_error(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch, raised: Any
) -> None:
    def encode(*_: Any, **__: Any) -> None:
        raise raised("index out of bounds")

    monkeypatch.setattr(type(lm.model.tokenizer), "_encode_plus", encode)
    for prompt, options in (("Hello", {}), (USER, {}), ("Hello", {"raw": True})):
        with pytest.raises(
            PromptError, match=rf"cannot encode this prompt \({raised.__name__}: index out of b"
        ):
            lm.generate(prompt, **options)
    assert lm.generate([65, 66]).text == "Hi there."


@pytest.mark.parametrize("raised", [Panic, KeyError, SystemExit])
def test_a_tokenizer_that_cannot_decode_is_the_fault_of_the_row(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch, raised: Any
) -> None:
    original = type(lm.model.tokenizer).decode
    decoded: list[Any] = []

    def decode(self: Any, ids: Any, **options: Any) -> Any:
        decoded.append(ids)
        if len(decoded) == 1:
            raise raised("index out of bounds")
        return original(self, ids, **options)

    monkeypatch.setattr(type(lm.model.tokenizer), "decode", decode)
    with pytest.raises(LladaError, match=r"row 0: the tokenizer of .* cannot decode") as caught:
        lm.generate(["Hello", "Hello"])
    failed, kept = caught.value.results  # type: ignore[attr-defined]
    assert failed is None
    assert kept.text == "Hi there."


@pytest.mark.parametrize("raised", [KeyboardInterrupt])
def test_an_interrupt_is_nobodys_fault(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch, raised: Any) -> None:
    def encode(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(type(lm.model.tokenizer), "_encode_plus", encode)
    with pytest.raises(raised):
        lm.generate("Hello")
