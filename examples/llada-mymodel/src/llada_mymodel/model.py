"""The network: a small transformer that sees all bytes and masks of a text at once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llada_core.checkpoints import read_fields
from llada_mymodel.tokenizer import END, MASK, VOCABULARY

__all__ = ["MyModel", "write_random"]

_FIELDS = ("hidden_size", "num_layers", "max_sequence_length")
_WEIGHTS = "model.safetensors"


class MyModel(nn.Module):
    """Logits ``[B, L, 258]`` for ids ``[B, L]``. It has ``config``, ``device`` and ``dtype``.

    ``config`` has ``hidden_size``, ``num_layers`` and ``max_sequence_length`` besides the ids of the mask
    and of the end.
    """

    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(config.max_sequence_length, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=2 * width, dropout=0, batch_first=True)
            for _ in range(config.num_layers)
        )
        self.logits = nn.Linear(width, VOCABULARY)

    @property
    def device(self) -> torch.device:
        return self.tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.tokens.weight.dtype

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden)
        logits: Tensor = self.logits(hidden)
        return logits

    @classmethod
    def from_pretrained(cls, folder: Path, *, device: Any = None, dtype: Any = None) -> MyModel:
        """The model in ``folder``, on the CPU and in float32 where nothing else is asked for.

        Raises ``OSError`` or ``ValueError``, which name the file or field and the remedy.
        """
        model = cls(_config(Path(folder)))
        file = Path(folder) / _WEIGHTS
        try:
            model.load_state_dict(load_file(file))
        except (OSError, SafetensorError, RuntimeError) as exc:
            raise ValueError(f"{file} does not hold the weights ({exc}); write the model anew") from exc
        kind = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        return model.to(device or "cpu", kind or torch.float32).eval().requires_grad_(False)


def _config(folder: Path) -> SimpleNamespace:
    fields = read_fields(folder)
    wrong = [name for name in _FIELDS if type(fields.get(name)) is not int or fields[name] < 1]
    if wrong:
        raise ValueError(f"config.json has no {wrong[0]}, a number of at least 1; write the model anew")
    return SimpleNamespace(**fields)


def write_random(folder: Path, *, seed: int = 0) -> Path:
    """Write a model with random weights into ``folder``, about 100 KB; returns the folder."""
    config = {
        "model_type": "mymodel",
        "vocab_size": VOCABULARY,
        "mask_token_id": MASK,
        "eos_token_id": END,
        "max_sequence_length": 256,
        "hidden_size": 32,
        "num_layers": 1,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MyModel(SimpleNamespace(**config))
    save_file(model.state_dict(), folder / _WEIGHTS)
    return folder
