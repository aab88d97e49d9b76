"""The checkpoint in the wheel: shapes, size, tokenizer, chat template."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from safetensors import safe_open

from llada_tiny import model_path
from llada_tiny.tasks import FAMILIES, held_out

SPECIAL = {
    "<|startoftext|>",
    "<|endoftext|>",
    "<|mdm_mask|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
}
MESSAGES = [
    {"role": "system", "content": " Be kind. "},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "What is 12 + 30?\n"},
]
PROMPT = (
    "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWhat is 12 + 30?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((model_path() / "config.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(model_path())


def test_the_path_needs_no_torch() -> None:
    code = (
        "import sys, llada_tiny, llada_tiny.tasks; llada_tiny.model_path(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_folder_has_every_file() -> None:
    assert {path.name for path in model_path().iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_weights_have_the_published_names_and_fit_in_16_mb(config: dict[str, Any]) -> None:
    d, mlp, vocab = config["d_model"], config["mlp_hidden_size"], config["vocab_size"]
    block = {"attn_norm": [d], "ff_norm": [d], "ff_proj": [mlp, d], "up_proj": [mlp, d], "ff_out": [d, mlp]}
    block |= {name: [d, d] for name in ("q_proj", "k_proj", "v_proj", "attn_out")}
    expected = {"wte": [vocab, d], "ln_f": [d], "ff_out": [vocab, d]}
    expected |= {
        f"blocks.{n}.{name}": shape for n in range(config["n_layers"]) for name, shape in block.items()
    }
    with safe_open(model_path() / "model.safetensors", framework="numpy") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        shapes = {name: part.get_shape() for name, part in slices.items()}
        assert {part.get_dtype() for part in slices.values()} == {"BF16"}
    assert shapes == {f"model.transformer.{name}.weight": shape for name, shape in expected.items()}
    assert (model_path() / "model.safetensors").stat().st_size <= 16_000_000


def test_the_config_names_llada_and_the_tokenizers_ids(config: dict[str, Any], tokenizer: Any) -> None:
    assert config["model_type"] == "llada"
    assert config["vocab_size"] == config["embedding_size"] == len(tokenizer)
    assert config["mask_token_id"] == tokenizer.mask_token_id
    assert (
        config["eos_token_id"] == config["pad_token_id"] == tokenizer.eos_token_id == tokenizer.pad_token_id
    )


def test_special_tokens_are_single_ids_and_known_as_special(tokenizer: Any) -> None:
    assert set(tokenizer.all_special_tokens) == SPECIAL
    assert all(len(tokenizer(token)["input_ids"]) == 1 for token in SPECIAL)


@pytest.mark.parametrize(
    "text", ["", "Hello, Zoë! 日本 🙂", "def f(x):\n    return x + 1\n", '{"a": 17}', "  two  spaces "]
)
def test_text_comes_back_as_it_went_in(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_every_digit_is_a_token(tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(tokenizer("40721")["input_ids"]) == list("40721")


def test_no_special_token_is_added_to_text(tokenizer: Any) -> None:
    assert not set(tokenizer("Hello")["input_ids"]) & set(tokenizer.all_special_ids)


def test_the_chat_template_is_lladas(tokenizer: Any) -> None:
    assert tokenizer.apply_chat_template(MESSAGES, tokenize=False) == PROMPT
    ids = tokenizer.apply_chat_template(MESSAGES, tokenize=True, return_dict=True)["input_ids"]
    assert ids == tokenizer(PROMPT)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_fit_into_128_tokens_and_prompts_into_the_model(
    family: str, config: dict[str, Any], tokenizer: Any
) -> None:
    for instance in held_out(family, 300, seed=2026):
        prompt = tokenizer.apply_chat_template(list(instance.messages), tokenize=True, return_dict=True)[
            "input_ids"
        ]
        assert len(tokenizer(instance.reference)["input_ids"]) < 128  # and one for <|eot_id|>
        assert len(prompt) + 128 <= config["max_sequence_length"]
