"""Two tiny random checkpoints, dense and of experts, written anew for each test that wants one.

The weights are scaled so that decoding is eventful: some forwards keep one column of a block and some all,
and some answers end early.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from llada_sdar import SDARConfig, SDARNetwork
from tests.sdar.tiny_tokenizer import END_OF_TEXT, IM_END, MASK, VOCABULARY, write_tokenizer

__all__ = ["BLOCK", "DENSE", "MOE", "Variant", "random_weights", "write_model"]

BLOCK = 4
Variant = Literal["dense", "moe"]

DENSE: dict[str, Any] = {
    "model_type": "sdar",
    "architectures": ["SDARForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "attention_bias": False,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "rope_scaling": None,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "torch_dtype": "float32",
    "bos_token_id": END_OF_TEXT,
    "eos_token_id": END_OF_TEXT,
    "mask_token_id": MASK,
    "block_size": BLOCK,
}
MOE: dict[str, Any] = {
    **DENSE,
    "model_type": "sdar_moe",
    "architectures": ["SDARMoeForCausalLM"],
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
_CONFIGS: dict[Variant, dict[str, Any]] = {"dense": DENSE, "moe": MOE}


def write_model(
    folder: Path, variant: Variant = "dense", *, seed: int = 0, tokenizer: bool = True, **changes: Any
) -> Path:
    """``folder`` with a config, random weights from ``seed`` and, if asked for, a tokenizer.

    Fields of config.json are replaced or added by ``changes``; one given as ``...`` is left out.
    """
    fields = {**_CONFIGS[variant], **changes}
    config = {name: value for name, value in fields.items() if value is not ...}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    ends = {"eos_token_id": [IM_END, END_OF_TEXT]}
    (folder / "generation_config.json").write_text(json.dumps(ends))
    weights = random_weights({**_CONFIGS[variant], **config}, seed=seed)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer:
        write_tokenizer(folder)
    return folder


def random_weights(config: dict[str, Any], *, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of the model that ``config`` describes, by name; one that is tied is there once.

    The head hears the end token and the mask more often than others, so that answers end, and so that what
    happens to the mask is seen.
    """
    source = torch.Generator().manual_seed(seed)
    network = SDARNetwork(SDARConfig.from_dict(config), device=torch.device("meta"), dtype=torch.float32)
    wanted, made = network.tensors(), dict[str, Tensor]()
    for name, tensor in wanted.items():
        drawn = torch.randn(tensor.shape, generator=source)
        if tensor.dim() == 1:
            made[name] = 1 + 0.2 * drawn
        else:
            made[name] = drawn * (1.0 if "embed" in name else _scale(name) / tensor.shape[1] ** 0.5)
    if network.shape.tied:
        del made["lm_head.weight"]
    else:
        made["lm_head.weight"][[IM_END, MASK]] *= 1.3
    return made


def _scale(name: str) -> float:
    return 4.0 if "lm_head" in name else 2.0 if "gate.weight" in name else 1.5
