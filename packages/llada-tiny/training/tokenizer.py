"""Trains the byte-level BPE on generated text and writes the tokenizer's files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from llada_tiny.tasks import Instance, Message

BOS, EOS, MASK = "<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>"
HEADER_START, HEADER_END, END_OF_TURN = "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
SPECIAL_TOKENS = [BOS, EOS, MASK, HEADER_START, HEADER_END, END_OF_TURN]
VOCAB_SIZE = 1536
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{ message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)


def render(messages: tuple[Message, ...]) -> str:
    """The prompt text that the chat template makes of the messages."""
    turns = [
        f"{HEADER_START}{m['role']}{HEADER_END}\n\n{m['content'].strip()}{END_OF_TURN}" for m in messages
    ]
    return f"{BOS}{''.join(turns)}{HEADER_START}assistant{HEADER_END}\n\n"


def train_tokenizer(stream: Callable[[int], Iterator[Instance]], examples: int, seed: int) -> Tokenizer:
    """A tokenizer trained on this many examples of a stream; digits always stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(islice(stream(seed), examples)), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and the files that transformers reads beside it."""
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS, "mask_token": MASK}
    extra = [HEADER_START, HEADER_END, END_OF_TURN]
    config = {
        **named,
        "additional_special_tokens": extra,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 4096,
        "padding_side": "left",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": extra})
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _texts(examples: Iterator[Instance]) -> Iterator[str]:
    for example in examples:
        yield from (message["content"] for message in example.messages)
        yield from (message["role"] for message in example.messages)
        yield example.reference


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
