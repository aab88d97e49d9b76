"""A checkpoint small enough to be written anew for every test that damages it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from llada_runtime import LLaDAModel

MASK, EOS = 30, 29
CONFIG: dict[str, Any] = {
    "model_type": "llada",
    "d_model": 16,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "mlp_hidden_size": 24,
    "vocab_size": 32,
    "embedding_size": 32,
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


def random_weights(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    d, hidden = config["d_model"], config["mlp_hidden_size"]
    shared = d // config["n_heads"] * config["n_kv_heads"]
    shapes: dict[str, tuple[int, ...]] = {"wte": (config["embedding_size"], d), "ln_f": (d,)}
    if not config["weight_tying"]:
        shapes["ff_out"] = (config["embedding_size"], d)
    for n in range(config["n_layers"]):
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
        shapes |= {f"blocks.{n}.{name}": shape for name, shape in layer.items()}
    source = torch.Generator().manual_seed(seed)
    return {
        f"model.transformer.{name}.weight": torch.randn(shape, generator=source) * 0.7
        for name, shape in shapes.items()
    }


Write = Callable[..., Path]


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Write:
    """``write_checkpoint(config={…}, weights={…})``: a folder with a checkpoint, fields changed as given."""

    def write(config: dict[str, Any] | None = None, weights: dict[str, Any] | None = None) -> Path:
        fields = {**CONFIG, **(config or {})}
        tensors = {**random_weights({**CONFIG, **fields}), **(weights or {})}
        (tmp_path / "config.json").write_text(
            json.dumps({name: value for name, value in fields.items() if value is not ...})
        )
        save_file({n: t for n, t in tensors.items() if t is not ...}, tmp_path / "model.safetensors")
        return tmp_path

    return write


@pytest.fixture
def model(write_checkpoint: Write) -> LLaDAModel:
    return LLaDAModel.from_pretrained(write_checkpoint(), device="cpu")
