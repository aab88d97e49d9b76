"""Random LLaDA-MoE checkpoints, small enough to be written anew for every test, and the published configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models
from torch import Tensor

from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from tests.support.published import read_published

__all__ = ["LLADA_MOE_7B", "LLADA_MOE_CONFIG", "PUBLISHED", "write_llada_moe", "write_tokenizer"]

LLADA_MOE_CONFIG: Mapping[str, Any] = {
    "model_type": "llada",
    "architectures": ["LLaDAMoEModelLM"],
    "attention_bias": False,
    "clip_qkv": None,
    "dense_intermediate_size": 40,
    "expert_intermediate_size": 12,
    "hidden_act": "silu",
    "hidden_size": 32,
    "max_position_embeddings": 128,
    "moe_layer_freq": [1, 1],
    "moe_router_enable_expert_bias": False,
    "moe_router_score_function": "softmax",
    "norm_topk_prob": None,
    "num_attention_heads": 4,
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "partial_rotary_factor": 1,
    "qk_layernorm": True,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 50000.0,
    "routed_scaling_factor": 1,
    "router_num_group": None,
    "router_topk_group": None,
    "shared_expert_intermediate_size": None,
    "tie_word_embeddings": False,
    "vocab_size": 64,
    "mask_token_id": 60,
    "eos_token_id": 61,
}

PUBLISHED = read_published(Path(__file__).parent / "llada_moe.json")
LLADA_MOE_7B: Mapping[str, Any] = PUBLISHED["LLaDA-MoE-7B-A1B-Instruct"].config
"""As published: it does not name its mask token."""


def write_llada_moe(
    folder: Path,
    *,
    weights: Mapping[str, Any] | None = None,
    seed: int = 0,
    scale: float = 0.5,
    **config: Any,
) -> Path:
    """Write a checkpoint into ``folder``, which is returned.

    ``config`` changes fields of `LLADA_MOE_CONFIG` and ``weights`` replaces tensors; ``...`` leaves one out.
    """
    fields = {name: value for name, value in {**LLADA_MOE_CONFIG, **config}.items() if value is not ...}
    tensors = {**_random(fields, seed, scale), **(weights or {})}
    (folder / "config.json").write_text(json.dumps(fields))
    save_file({name: each for name, each in tensors.items() if each is not ...}, folder / "model.safetensors")
    return folder


def write_tokenizer(folder: Path, *, mask: int = 60, eos: int = 61) -> None:
    """A token a character, and the special ones by name, of the vocabulary of `LLADA_MOE_CONFIG`."""
    special = {mask: "<|mask|>", eos: "<|endoftext|>", 62: "<role>", 63: "</role>"}
    characters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789.")
    vocabulary = {special.get(index) or next(characters): index for index in range(64)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special.values()])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": special[eos],
        "pad_token": special[eos],
        "mask_token": special[mask],
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


_CHAT_TEMPLATE = """\
{%- for turn in messages %}{{- '<role>' ~ turn.role ~ '</role>' ~ turn.content }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<role>assistant</role>' }}{%- endif %}
"""


def _random(fields: Mapping[str, Any], seed: int, scale: float) -> dict[str, Tensor]:
    """Normal float32 weights, by the names and shapes that the network asks for."""
    config, draw = LLaDAMoEConfig.from_dict(fields), torch.Generator().manual_seed(seed)
    network = LLaDAMoEModel(config, device=torch.device("meta"), dtype=torch.float32)
    return {
        name: torch.randn(tensor.shape, generator=draw) * scale for name, tensor in network.tensors().items()
    }
