"""A foreign model that brings code of its own, written on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from llada_runtime.testing import EOS, MASK, VOCABULARY

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
