"""A checkpoint's weights in an upstream network, read by nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from llada_core import UsageError

__all__ = ["PUBLISHED", "Decode", "fields_of", "filled", "made_in", "without_ends"]

Decode = Callable[[torch.Tensor], tuple[list[int], int]]
"""From a prompt ``[1, P]`` to the ids of the canvas, prompt included, and the number of forwards."""

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
_HEAD = "model.transformer.ff_out.weight"


def fields_of(folder: Path) -> dict[str, Any]:
    """What ``config.json`` says, beside what the published one does.

    Raises UsageError where it is not of dense LLaDA, which is what the published code here runs.
    """
    fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if "d_model" not in fields:
        raise UsageError(
            f"--upstream compares dense LLaDA models alone, and architectures is "
            f"{fields.get('architectures')!r} here; without it the model is compared with its reference"
        )
    return {**PUBLISHED, **fields}


def filled(model: Any, folder: Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """``model`` on the device in ``dtype`` with the weights in ``folder``, ready to decode."""
    model.config.use_cache = False  # transformers 5 drops the field, and the published code reads it
    known = model.state_dict()
    given = {name: tensor for file in _files(folder) for name, tensor in load_file(file).items()}
    if _HEAD not in known:  # tied, and stored under both of its names
        given.pop(_HEAD, None)
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in given.items()})
    return model.to(device, dtype).eval()


def _files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return [folder / name for name in sorted(shards)]


@contextmanager
def made_in(dtype: torch.dtype) -> Iterator[None]:
    """Let tensors that are made meanwhile be of ``dtype``: upstream's buffers are of the default one."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def without_ends(canvas: list[int], end: int) -> list[int]:
    """The canvas without end-of-sequence tokens, as dInfer returns it."""
    return [token for token in canvas if token != end]
