"""What both adapters do: choose the code, and fill an upstream network with a checkpoint's weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

Decode = Callable[[torch.Tensor], tuple[list[int], int]]
"""From a prompt ``[1, P]`` to the canvas without its end-of-sequence tokens, and the number of forwards."""

PUBLISHED = {  # as LLaDA-8B's config.json has it; the class defaults are another model's
    "activation_type": "silu",
    "attention_dropout": 0.0,
    "block_type": "llama",
    "embedding_dropout": 0.0,
    "include_bias": False,
    "layer_norm_type": "rms",
    "residual_dropout": 0.0,
    "rope": True,
    "rope_full_precision": True,
}


def import_from(checkout: Path, *candidates: str) -> Path:
    """Put the first of ``candidates`` that exists in ``checkout`` on the import path."""
    source = next((checkout / folder for folder in candidates if (checkout / folder).is_dir()), None)
    if source is None:
        sys.exit(f"{checkout} holds none of {', '.join(candidates)}; point at a checkout of the repository")
    sys.path.insert(0, str(source))
    return source


def filled(model: Any, folder: Path) -> Any:
    """``model`` in float32 with the weights in ``folder``, ready to decode."""
    model.config.use_cache = False  # transformers 5 drops the field, and the published code reads it
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model.float().eval()


def without_eos(canvas: list[int], eos: int) -> list[int]:
    """The canvas without end-of-sequence tokens, as dInfer returns it."""
    return [token for token in canvas if token != eos]
