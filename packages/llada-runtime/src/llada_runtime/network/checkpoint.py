"""Reading safetensors straight into the tensors that want them, one at a time.

This module knows files, names, shapes and dtypes, not networks: it is given a mapping from the names in
the checkpoint to the (views of) tensors to fill. Names and shapes are all checked before anything is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from llada_core.errors import CheckpointError

__all__ = ["choose_device", "choose_dtype", "fill"]

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def choose_device(device: str | torch.device | None) -> torch.device:
    """``device``, or the GPU if there is one, else the CPU.

    Raises:
        CheckpointError: the device does not exist here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as exc:
        raise CheckpointError(
            f"device {device!r} is not known to torch; use 'cpu', 'cuda' or 'cuda:N'"
        ) from exc
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError(f"device {device!r} was asked for, and torch sees no GPU; use device='cpu'")
    return chosen


def choose_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """``dtype``, or bfloat16 on a GPU and float32 on the CPU.

    Raises:
        CheckpointError: not one of float32, bfloat16, float16.
    """
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if chosen not in (torch.float32, torch.bfloat16, torch.float16):
        raise CheckpointError(f"dtype {dtype!r} cannot be used; choose 'float32', 'bfloat16' or 'float16'")
    return chosen


def fill(targets: Mapping[str, Tensor], folder: Path) -> None:
    """Copy every tensor of the checkpoint in ``folder`` into the target of the same name, casting as needed.

    Raises:
        CheckpointError: a file cannot be read, or a tensor is missing, unknown or of another shape; the
            message names it. Nothing has been copied then, unless a file turned out damaged half-way.
    """
    places = _locate(folder)
    _compare_names(folder, wanted=targets.keys(), found=places.keys())
    by_file: dict[Path, list[str]] = {}
    for name, path in places.items():
        by_file.setdefault(path, []).append(name)
    for path, names in by_file.items():
        _compare_shapes(path, names, targets)
    for path, names in by_file.items():
        _copy(path, names, targets)


def _locate(folder: Path) -> dict[str, Path]:
    """Which file holds which tensor."""
    index, single = folder / _INDEX, folder / _SINGLE
    if index.is_file():
        return _sharded(folder, index)
    if not single.is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = f" (it has {', '.join(others[:3])}: convert the weights to safetensors)" if others else ""
        raise CheckpointError(f"{folder} holds neither {_SINGLE} nor {_INDEX}{hint}; download the weights")
    with _opened(single) as file:
        return dict.fromkeys(file.keys(), single)


def _sharded(folder: Path, index: Path) -> dict[str, Path]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        places = {str(name): folder / str(file) for name, file in weight_map.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise CheckpointError(
            f"{index} cannot be read as a weight index ({exc!r}); download it again"
        ) from exc
    for path in sorted(set(places.values())):
        if not path.is_file():
            raise CheckpointError(
                f"{path} is named in {_INDEX} and does not exist; download the missing shard"
            )
        with _opened(path) as file:
            stored = set(file.keys())
        absent = sorted(name for name, place in places.items() if place == path and name not in stored)
        if absent:
            raise CheckpointError(
                f"{path} lacks {_some(absent)}, which {_INDEX} places there; download both again"
            )
    return places


def _compare_names(folder: Path, *, wanted: Iterable[str], found: Iterable[str]) -> None:
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or unknown:
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"holds {_some(unknown)}, which this network has no place for"] if unknown else []
        raise CheckpointError(
            f"the checkpoint in {folder} {' and '.join(parts)}; "
            "check that config.json and the weights belong together"
        )


def _compare_shapes(path: Path, names: Iterable[str], targets: Mapping[str, Tensor]) -> None:
    with _opened(path) as file:
        for name in names:
            shape, wanted = tuple(file.get_slice(name).get_shape()), tuple(targets[name].shape)
            if shape != wanted:
                raise CheckpointError(
                    f"{path}: {name} is {list(shape)}, and config.json makes it {list(wanted)}; "
                    "check that config.json and the weights belong together"
                )


def _copy(path: Path, names: Iterable[str], targets: Mapping[str, Tensor]) -> None:
    names = list(names)
    with _opened(path, targets[names[0]].device) as file:
        for name in names:
            try:
                targets[name].copy_(file.get_tensor(name))
            except SafetensorError as exc:
                raise CheckpointError(
                    f"{path}: {name} cannot be read ({exc}); download the file again"
                ) from exc


def _opened(path: Path, device: torch.device | None = None) -> Any:  # safetensors ships no types for it
    try:
        return safe_open(path, framework="pt", device=str(device or "cpu"))
    except (SafetensorError, OSError) as exc:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({exc}); download it again"
        ) from exc


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
