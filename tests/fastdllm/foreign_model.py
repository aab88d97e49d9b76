"""Foreign models that bring code of their own, written on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from llada_runtime.testing import EOS, MASK, VOCABULARY

__all__ = ["auto_map", "remote_folder"]

# ToyModel predicts, at every position, the position's index. The others are what else a model's code may be.
_TOY_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput


class ToyConfig(PretrainedConfig):
    model_type = "MODEL_TYPE"


class ToyBase(PreTrainedModel):
    config_class = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.post_init()

    def forward(self, input_ids):
        return BaseModelOutput(last_hidden_state=torch.zeros(*input_ids.shape, 4))


class ToyModel(ToyBase):
    def forward(self, input_ids):
        rows, length = input_ids.shape
        logits = torch.zeros(rows, length, self.config.vocab_size)
        logits[:, torch.arange(length), torch.arange(length)] = 9.0 * self.scale
        return MaskedLMOutput(logits=logits)


class ToyDict(ToyModel):
    def forward(self, input_ids):
        return {"logits": super().forward(input_ids).logits}


class ToyTuple(ToyModel):
    def forward(self, input_ids):
        return (super().forward(input_ids).logits,)


class ToyFlat(ToyModel):
    def forward(self, input_ids):
        return MaskedLMOutput(logits=super().forward(input_ids).logits[:, -1])


class ToyAsking(ToyModel):
    def forward(self, input_ids, timestep):
        return super().forward(input_ids)


class ToyLarger(ToyModel):
    def __init__(self, config):
        super().__init__(config)
        self.more = torch.nn.Linear(3, 3)


class ToyCareful(ToyModel):
    def forward(self, input_ids):
        assert not torch.is_autocast_enabled("cpu")
        return super().forward(input_ids)
"""


def auto_map(**classes: str) -> dict[str, str]:
    """An ``auto_map`` with the toy's config, and these classes by auto class."""
    return {"AutoConfig": "modeling_toy.ToyConfig", **{n: f"modeling_toy.{c}" for n, c in classes.items()}}


def remote_folder(folder: Path, **changes: Any) -> Path:
    """A model of type ``llada`` whose architecture only its own code knows.

    ``changes`` are of its config; ``...`` leaves a field out.
    """
    config = {
        "model_type": "llada",
        "architectures": ["ToyModel"],
        "block_type": "toy",
        "auto_map": auto_map(AutoModel="ToyModel"),
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 256,
        "mask_token_id": MASK,
        "eos_token_id": EOS,
        **changes,
    }
    config = {name: value for name, value in config.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_toy.py").write_text(_TOY_CODE.replace("MODEL_TYPE", config["model_type"]))
    save_file({"scale": torch.ones(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
