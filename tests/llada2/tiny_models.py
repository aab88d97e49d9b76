"""Tiny checkpoints with random weights, written anew for each test that wants one.

Scaled so that decoding is eventful: forwards fill one mask or many, tokens are edited, some answers end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from llada_llada2 import LLaDA2Config, LLaDA2Network
from tests.llada2.tiny_tokenizer import EOS, MASK, VOCABULARY, write_tokenizer
from tests.support.published import read_published

__all__ = ["CONFIG", "EOS", "MASK", "MINI", "PUBLISHED", "VOCABULARY", "random_weights", "write_model"]

CONFIG: dict[str, Any] = {
    "model_type": "llada2_moe",
    "architectures": ["LLaDA2MoeModelLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 3,
    "first_k_dense_replace": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_shared_experts": 1,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "use_bias": False,
    "use_qkv_bias": False,
    "use_qk_norm": True,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "pad_token_id": EOS,
    "eos_token_id": EOS,
    "mask_token_id": MASK,
}
PUBLISHED = read_published(Path(__file__).parent / "published.json")
MINI: dict[str, Any] = dict(PUBLISHED["LLaDA2.0-mini"].config)

_HEAD_SCALE, _STANDING, _EOS_SCALE, _MASK_SCALE, _SHARPNESS = 4.0, 1.2, 1.25, 0.3, 2.0


def write_model(
    folder: Path, *, seed: int = 0, tokenizer: bool = True, predict_mask: bool = False, **changes: Any
) -> Path:
    """``folder`` with a config, random weights from ``seed`` and, if asked for, a tokenizer.

    Fields of `CONFIG` are replaced or added by ``changes``; ``...`` leaves one out of the file, and the
    weights are those of the value that it would have had. The mask is never the likeliest token, unless
    ``predict_mask`` makes it the likeliest now and then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = {name: value for name, value in {**CONFIG, **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(fields, indent=2))
    weights = random_weights({**CONFIG, **fields}, seed=seed, predict_mask=predict_mask)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer:
        write_tokenizer(folder)
    return folder


def random_weights(config: dict[str, Any], *, seed: int = 0, predict_mask: bool = False) -> dict[str, Tensor]:
    """The tensors of the model that ``config`` describes, by name.

    Channel 0 of the residual stream is the same for every token and no layer writes to it, so that the head
    can hold a steady dislike of the mask there. Tokens are liked where they stand already.
    """
    source = torch.Generator().manual_seed(1000 + seed)
    network = LLaDA2Network(LLaDA2Config.from_dict(config), device=torch.device("meta"), dtype=torch.float32)
    weights = {name: _random(name, tuple(each.shape), source) for name, each in network.tensors().items()}
    embedding, head = weights["model.word_embeddings.weight"], weights["lm_head.weight"]
    mask, eos = config["mask_token_id"], config["eos_token_id"]
    embedding[mask] *= _MASK_SCALE
    embedding[:, 0] = 2.0
    if config["tie_word_embeddings"]:
        return {name: each for name, each in weights.items() if name != "lm_head.weight"}
    head += _STANDING * embedding / embedding.shape[1] ** 0.5
    head[:, 0] = 0.0
    head[eos] *= _EOS_SCALE
    if predict_mask:
        head[mask] *= 2.0
    else:
        head[mask] = 0.0
        head[mask, 0] = -100.0
    return weights


def _random(name: str, shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    drawn = torch.randn(shape, generator=source)
    if name.endswith(("query_layernorm.weight", "key_layernorm.weight")):
        return _SHARPNESS + 0.15 * drawn
    if name.endswith("norm.weight"):
        made = 1 + 0.15 * drawn
        made[0] = 1.0
        return made
    if name.endswith("expert_bias"):
        return 0.1 * drawn
    if name == "model.word_embeddings.weight":
        return drawn
    scale = _HEAD_SCALE if name == "lm_head.weight" else 1.5
    made = drawn * scale / shape[1] ** 0.5
    if name.endswith(("attention.dense.weight", "down_proj.weight")):
        made[0] = 0.0
    return made
