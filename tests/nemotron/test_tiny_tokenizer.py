"""The tiny models' tokenizer: its ids, its one BOS, and its chat template."""

from __future__ import annotations

import string
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.nemotron.tiny_models import write_model
from tests.nemotron.tiny_tokenizer import BOS, END_THINK, EOS, MASK, THINK, VOCABULARY

HEADER = "<s><|im_start|>system\n<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n"
MESSAGES = [{"role": "user", "content": "Hi!"}]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return PreTrainedTokenizerFast.from_pretrained(str(write_model(tmp_path_factory.mktemp("labs"), "labs")))


def test_every_id_is_a_text_of_its_own(tokenizer: Any) -> None:
    texts = {tokenizer.decode([index]) for index in range(VOCABULARY)}
    assert len(tokenizer) == VOCABULARY == len(texts)
    assert "" not in texts


def test_text_survives_with_one_bos_before_it(tokenizer: Any) -> None:
    text = f"{string.ascii_letters} {string.digits}\n{string.punctuation}"
    ids = tokenizer.encode(text)
    assert ids[0] == BOS
    assert len(ids) == 1 + len(text)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.encode(text, add_special_tokens=False) == ids[1:]


def test_named_tokens_have_their_ids_and_there_is_no_padding(tokenizer: Any) -> None:
    named = {"<s>": BOS, "<|im_end|>": EOS, "<think>": THINK, "</think>": END_THINK, "<SPECIAL_100>": MASK}
    assert {name: tokenizer.encode(name, add_special_tokens=False) for name in named} == {
        name: [index] for name, index in named.items()
    }
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (BOS, EOS)
    assert tokenizer.pad_token is None


def test_thinking_is_visible_and_masks_are_special(tokenizer: Any) -> None:
    ids = [THINK, END_THINK, MASK, EOS]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think></think>"


@pytest.mark.parametrize(("options", "opening"), [({}, ""), ({"enable_thinking": True}, "<think>\n")])
def test_the_template_emits_a_system_turn_and_opens_the_answer(
    tokenizer: Any, options: dict[str, bool], opening: str
) -> None:
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True, **options)
    assert text == HEADER + (opening or "<think></think>")


def test_the_template_takes_a_system_turn_and_a_history(tokenizer: Any) -> None:
    turns = [("system", "Be kind."), ("user", "a"), ("assistant", "b"), ("user", "c")]
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "<s>" + "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)


def test_a_tokenized_chat_has_one_bos(tokenizer: Any) -> None:
    ids = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False)
    assert ids.count(BOS) == 1
    assert ids[-2:] == [THINK, END_THINK]


def test_the_automatic_class_reads_the_same_files(tokenizer: Any) -> None:
    automatic = AutoTokenizer.from_pretrained(tokenizer.name_or_path, trust_remote_code=True)
    assert automatic.encode("Hi!") == tokenizer.encode("Hi!")
