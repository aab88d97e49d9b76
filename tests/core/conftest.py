"""A small world for the tests of llada-core: fake engines, a real tokenizer and checkpoints made of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core.testing import FakeSite, fake_site

WORLD = Path(__file__).parent / "world"
EOS, EOT = "<|endoftext|>", "<|eot_id|>"
SPECIAL = ["<|startoftext|>", EOS, "<|mdm_mask|>", "<|start_header_id|>", "<|end_header_id|>", EOT]
TEMPLATE = (
    "{{ '<|startoftext|>' }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    """The registry holds the fake engines and nothing else; no LLADA_* variable is set."""
    for name in ("LLADA_ENGINE", "LLADA_ALGORITHM"):
        monkeypatch.delenv(name, raising=False)
    modules = {path.stem: path.read_text() for path in WORLD.glob("*.py")}
    with fake_site(tmp_path / "site") as site:
        site.add("fake-engine", modules=modules, entry_points={"fake": "fake_plugin"})
        with site.shared():
            yield site


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """One token per byte, with LLaDA's special tokens and chat template."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def make_tokenizer_with() -> Callable[..., Any]:
    """``make_tokenizer``, for tests that change something about it."""
    return make_tokenizer


def make_tokenizer(*, adds_bos: bool = False, template: str | None = TEMPLATE, pad: str | None = EOS) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(SPECIAL)
    if adds_bos:
        bos = (SPECIAL[0], backend.token_to_id(SPECIAL[0]))
        backend.post_processor = processors.TemplateProcessing(single=f"{bos[0]} $A", special_tokens=[bos])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=SPECIAL[0],
        eos_token=EOS,
        pad_token=pad,
        chat_template=template,
        additional_special_tokens=SPECIAL[2:],
    )


@pytest.fixture
def make_folder(tmp_path: Path, tokenizer: Any) -> Callable[..., Path]:
    """A function that writes a checkpoint of a fake engine; keywords go into its ``config.json``."""

    def make(*, reply: str = "Hi there.", with_tokenizer: bool = True, **config: Any) -> Path:
        folder = tmp_path / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if with_tokenizer:
            tokenizer.save_pretrained(folder)
        written = {
            "model_type": "llada",
            "mask_token_id": tokenizer.convert_tokens_to_ids("<|mdm_mask|>"),
            "eos_token_id": tokenizer.eos_token_id,
            "max_sequence_length": 200,
            "vocab_size": len(tokenizer),
            "reply_ids": [*tokenizer(reply)["input_ids"], tokenizer.convert_tokens_to_ids(EOT)],
            **config,
        }
        (folder / "config.json").write_text(json.dumps(written))
        return folder

    return make


@pytest.fixture
def folder(make_folder: Callable[..., Path]) -> Path:
    """A checkpoint that answers "Hi there."."""
    return make_folder()
