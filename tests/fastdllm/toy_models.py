"""Checkpoints made on the spot: a random LLaDA, and a foreign model that brings code of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

MASK, EOS, VOCABULARY = 60, 59, 64

_LLADA: dict[str, Any] = {
    "model_type": "llada",
    "architectures": ["LLaDAModelLM"],
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "mlp_hidden_size": 48,
    "vocab_size": VOCABULARY,
    "embedding_size": VOCABULARY,
    "max_sequence_length": 256,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "weight_tying": False,
    "mask_token_id": MASK,
    "eos_token_id": EOS,
}

_TOY_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput


class ToyConfig(PretrainedConfig):
    model_type = "llada"


class ToyModel(PreTrainedModel):
    config_class = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.post_init()

    def forward(self, input_ids):
        rows, length = input_ids.shape
        logits = torch.zeros(rows, length, self.config.vocab_size)
        logits[:, torch.arange(length), torch.arange(length)] = 9.0 * self.scale
        return MaskedLMOutput(logits=logits)
"""


def llada_folder(folder: Path) -> Path:
    """A random LLaDA checkpoint."""
    c = _LLADA
    d, hidden, shared = c["d_model"], c["mlp_hidden_size"], c["d_model"] // c["n_heads"] * c["n_kv_heads"]
    shapes: dict[str, tuple[int, ...]] = {"wte": (VOCABULARY, d), "ff_out": (VOCABULARY, d), "ln_f": (d,)}
    for n in range(c["n_layers"]):
        widths = {"q_proj": (d, d), "k_proj": (shared, d), "v_proj": (shared, d), "attn_out": (d, d)}
        widths |= {"ff_proj": (hidden, d), "up_proj": (hidden, d), "ff_out": (d, hidden)}
        norms = {"attn_norm": (d,), "ff_norm": (d,)}
        shapes |= {f"blocks.{n}.{name}": shape for name, shape in {**widths, **norms}.items()}
    source = torch.Generator().manual_seed(0)
    weights = {
        f"model.transformer.{name}.weight": torch.randn(shape, generator=source) * 0.4
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(c))
    return folder


def remote_folder(folder: Path, **changes: Any) -> Path:
    """A model of type ``llada`` whose architecture only its own code knows."""
    config = {
        "model_type": "llada",
        "architectures": ["ToyModel"],
        "block_type": "toy",
        "auto_map": {"AutoConfig": "modeling_toy.ToyConfig", "AutoModel": "modeling_toy.ToyModel"},
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 256,
        "mask_token_id": MASK,
        "eos_token_id": EOS,
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_toy.py").write_text(_TOY_CODE)
    save_file({"scale": torch.ones(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
