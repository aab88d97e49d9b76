"""Which safetensors file of a folder holds which tensor: what transformers writes and loads is found as it
finds it, and what is said where there is nothing of the kind.

An index says which files there are; where a tensor is, the files say themselves.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from llada_core.checkpoints.contents import how_to_get, other_contents
from llada_core.errors import CheckpointError
from llada_core.names import some

__all__ = ["UnusedWeights", "locate", "opened"]

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


class UnusedWeights(UserWarning):
    """Weights lie in the folder that are not loaded, as they are not by transformers."""


def locate(folder: Path) -> dict[str, Path]:
    """The file of each tensor: in ``model.safetensors``, else in the shards that the index names.

    Warns with ``UnusedWeights`` where an index beside the single file names other files. Raises
    ``CheckpointError`` where there are no weights, a shard is missing or damaged, or a tensor is there twice.
    """
    index, single = folder / _INDEX, folder / _SINGLE
    if single.is_file():
        if index.is_file():
            _tell_of_stale(folder, index)
        return dict.fromkeys(_names_in(single), single)
    if index.is_file():
        return _sharded(folder, index)
    if single.is_symlink() or index.is_symlink():
        raise CheckpointError(f"{single} is a link to a file that does not exist; download the weights again")
    held = other_contents(folder)
    raise CheckpointError(f"{folder} holds neither {_SINGLE} nor {_INDEX}; {held or 'download the weights'}")


def opened(path: Path, device: torch.device | None = None) -> Any:  # safetensors ships no types for it
    """The safetensors file at ``path``, to be read to ``device``. Raises ``CheckpointError``."""
    on_gpu = device is not None and device.type == "cuda"
    if not _is_text(path):
        raise CheckpointError(
            f"{str(path)!r} is no name in UTF-8, which is all that safetensors opens; rename its folder"
        )
    try:
        return safe_open(path, framework="pt", device=str(device) if on_gpu else "cpu")
    except (SafetensorError, OSError) as exc:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({exc}); {how_to_get(path)}"
        ) from exc


def _is_text(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:  # bytes that are no text in the encoding of file names
        return False


def _tell_of_stale(folder: Path, index: Path) -> None:
    """Warn of an index that is left from other weights; one that names the single file alone is none."""
    try:
        others = _shards_of(folder, index).keys() - {folder / _SINGLE}
    except CheckpointError:
        others = {index}
    if others:
        message = (
            f"{folder} holds {_SINGLE} and {_INDEX}, which is not of it: {_SINGLE} is loaded, as it is by "
            "transformers; remove whichever of the two is out of date"
        )
        warnings.warn(message, UnusedWeights, stacklevel=2)


def _sharded(folder: Path, index: Path) -> dict[str, Path]:
    shards = _shards_of(folder, index)
    places: dict[str, Path] = {}
    for path in sorted(shards):
        if not path.is_file():
            raise CheckpointError(
                f"{path} is named in {_INDEX} and does not exist; download the missing shard"
            )
        stored = _names_in(path)
        twice = places.keys() & stored
        if twice:
            raise CheckpointError(
                f"{path} holds {some(twice)}, and so does {places[min(twice)].name}; "
                "remove the shards that are not of this checkpoint"
            )
        places |= dict.fromkeys(stored, path)
    for path, listed in sorted(shards.items()):
        absent = listed - places.keys()
        if absent:
            raise CheckpointError(
                f"{path} lacks {some(absent)}, which {_INDEX} places there; download both again"
            )
    return places


def _shards_of(folder: Path, index: Path) -> dict[Path, set[str]]:
    """The files that the index names, each with the tensors that it places there."""
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        listed = dict(weight_map.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as exc:
        raise CheckpointError(
            f"{index} cannot be read as a weight index ({exc!r}); {how_to_get(index)}"
        ) from exc
    if not listed:
        raise CheckpointError(f"{index} names no weights; download it again, with the shards")
    shards: dict[Path, set[str]] = {}
    for name, file in listed.items():
        _check_inside(index, file)
        shards.setdefault(folder / file, set()).add(name)
    return shards


def _check_inside(index: Path, file: object) -> None:
    """Refuse a shard outside the folder, by its name: in the hub's cache the files are links out of it."""
    fits = isinstance(file, str) and file.strip() and "\0" not in file
    paths = (PurePosixPath(file), PureWindowsPath(file)) if isinstance(file, str) and fits else ()
    if not paths or any(path.anchor or ".." in path.parts for path in paths):
        raise CheckpointError(
            f"{index} names {file!r}, which is no file in its folder; "
            "download it again from a source that you trust"
        )


def _names_in(path: Path) -> set[str]:
    with opened(path) as file:
        return set(file.keys())
