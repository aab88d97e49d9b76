"""Random LLaDA checkpoints and models, small enough to be written anew for every test."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from llada_runtime.models.llada import LLaDAModel

__all__ = [
    "EOS",
    "LLADA_CONFIG",
    "MASK",
    "VOCABULARY",
    "constant_llada",
    "llada_weights",
    "small_llada",
    "write_llada",
]

VOCABULARY, MASK, EOS = 32, 30, 29

LLADA_CONFIG: Mapping[str, Any] = {
    "model_type": "llada",
    "architectures": ["LLaDAModelLM"],
    "d_model": 16,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "mlp_hidden_size": 24,
    "vocab_size": VOCABULARY,
    "embedding_size": VOCABULARY,
    "max_sequence_length": 64,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "weight_tying": False,
    "mask_token_id": MASK,
    "eos_token_id": EOS,
    "rope": True,
    "block_type": "llama",
    "layer_norm_type": "rms",
    "activation_type": "silu",
}
"""``config.json`` of these checkpoints, where a caller changes nothing."""


def llada_weights(
    config: Mapping[str, Any] = LLADA_CONFIG, *, seed: int = 0, scale: float = 0.7
) -> dict[str, Tensor]:
    """Normal float32 weights of standard deviation ``scale``, by their names in a checkpoint."""
    source = torch.Generator().manual_seed(seed)
    return {
        f"model.transformer.{name}.weight": torch.randn(shape, generator=source) * scale
        for name, shape in _shapes(config).items()
    }


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    d, hidden = config["d_model"], config["mlp_hidden_size"]
    shared = d // config["n_heads"] * config["n_kv_heads"]
    shapes: dict[str, tuple[int, ...]] = {"wte": (config["embedding_size"], d), "ln_f": (d,)}
    if not config["weight_tying"]:
        shapes["ff_out"] = (config["embedding_size"], d)
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (d,),
        "q_proj": (d, d),
        "k_proj": (shared, d),
        "v_proj": (shared, d),
        "attn_out": (d, d),
        "ff_norm": (d,),
        "ff_proj": (hidden, d),
        "up_proj": (hidden, d),
        "ff_out": (d, hidden),
    }
    for n in range(config["n_layers"]):
        shapes |= {f"blocks.{n}.{name}": shape for name, shape in layer.items()}
    return shapes


def write_llada(
    folder: Path,
    *,
    weights: Mapping[str, Any] | None = None,
    seed: int = 0,
    scale: float = 0.7,
    **config: Any,
) -> Path:
    """Write a checkpoint into ``folder``, which is returned.

    ``config`` changes fields of `LLADA_CONFIG` and ``weights`` replaces tensors; ``...`` leaves one out.
    """
    fields = {**LLADA_CONFIG, **config}
    # The shapes are those of the standard fields where one is left out.
    known = {name: LLADA_CONFIG.get(name) if value is ... else value for name, value in fields.items()}
    tensors = {**llada_weights(known, seed=seed, scale=scale), **(weights or {})}
    (folder / "config.json").write_text(json.dumps(_given(fields)))
    save_file(_given(tensors), folder / "model.safetensors")
    return folder


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ...}


def small_llada(**changes: Any) -> LLaDAModel:
    """A float32 model on the CPU with random weights; ``changes`` as for `write_llada`."""
    with tempfile.TemporaryDirectory(prefix="llada-small-") as folder:
        return LLaDAModel.from_pretrained(write_llada(Path(folder), **changes), device="cpu")


def constant_llada(token: int, **config: Any) -> LLaDAModel:
    """A model that proposes ``token`` above all, in every position of every canvas."""
    weights = {
        name: torch.zeros_like(tensor) for name, tensor in llada_weights({**LLADA_CONFIG, **config}).items()
    }
    weights["model.transformer.wte.weight"].fill_(1.0)
    weights["model.transformer.ln_f.weight"].fill_(1.0)
    head = weights["model.transformer.ff_out.weight"]
    head.normal_(std=0.01, generator=torch.Generator().manual_seed(1))
    head[token] = 1.0
    return small_llada(weights=weights, **config)
