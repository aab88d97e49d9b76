"""What a folder holds that is no checkpoint in the Hugging Face layout, and what to do with it.

Nothing is read but names, and of an adapter the name of its base: a pickle stays closed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from llada_core.names import some

__all__ = ["how_to_get", "is_dcp", "meant_inside", "other_contents"]

_PICKLED = "read them with torch.load(…, weights_only=True), write them with safetensors.torch.save_file"
# Names of files, what their folder then holds, and the remedy; the first that fits counts.
_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("model.?*.safetensors", "model.safetensors.index.?*.json"),
        "a variant, which is loaded under the plain name alone",
        "rename it to model.safetensors, and an index to model.safetensors.index.json",
    ),
    (("*-of-*.safetensors",), "shards without their index", "download model.safetensors.index.json"),
    (
        ("consolidated*.safetensors", "consolidated*.pth", "params.json"),
        "weights under the names of their authors' own code",
        "give the checkpoint in the Hugging Face layout",
    ),
    (("*.safetensors",), "safetensors under another name", "rename the weights to model.safetensors"),
    (
        ("*.bin", "*.pt", "*.pth", "*.ckpt"),
        "pickles, which can run code when they are read",
        f"convert the weights to safetensors: {_PICKLED}",
    ),
    (("*.gguf",), "weights of llama.cpp", "give the checkpoint that they were made from"),
    (
        ("*.h5", "*.msgpack", "model_index.json"),
        "a model of another library",
        "give the folder, hub id or wheel of a masked diffusion model of text",
    ),
)  # fmt: skip
# The model itself, and what trainers write beside it.
_NOT_TOLD = ("model.safetensors", "training_args.bin", "optimizer.*", "scheduler.*", "scaler.*", "rng_state*")


def is_dcp(folder: Path) -> bool:
    """Whether ``torch.distributed.checkpoint`` wrote the folder."""
    return os.path.isfile(folder / ".metadata")


def how_to_get(file: Path) -> str:
    """What to do about a file that cannot be read."""
    try:
        with open(file, "rb") as opened:
            pointer = opened.read(40).startswith(b"version https://git-lfs")
    except OSError:
        pointer = False
    return "it is a pointer of git-lfs: run git lfs pull" if pointer else "download it again"


def other_contents(folder: Path) -> str | None:
    """What the folder holds in place of ``model.safetensors`` or ``config.json``, ending with the remedy.

    None where nothing is known.
    """
    names = _names(folder)
    if is_dcp(folder):
        base = "the folder, hub id or wheel of the model that was trained"
        return (
            f"it is a torch.distributed checkpoint; load it with load_dcp({str(folder)!r}, BASE), or by "
            f"--dcp {folder} --base BASE, where BASE is {'this folder' if 'config.json' in names else base}"
        )
    if "adapter_config.json" in names or "adapter_model.safetensors" in names:
        return (
            f"it holds an adapter of {_base_of(folder) or 'a base model'} and no model; merge the two "
            "(merge_and_unload of peft, then save_pretrained), and give what that wrote"
        )
    others = [name for name in names if not _fits(name, _NOT_TOLD)]
    for patterns, what, remedy in _KINDS:
        found = [name for name in others if _fits(name, patterns)]
        if found:
            return f"it holds {some(found)}: {what}; {remedy}"
    return meant_inside(folder, "*/config.json", "snapshots/*/config.json", "*/.metadata")


def meant_inside(folder: Path, *patterns: str) -> str | None:
    """The folders below that hold a file of these ``patterns``, as advice; None where there are none."""
    found = [str(path.parent) for pattern in patterns for path in _glob(folder, pattern)]
    return f"it holds {some(found)}; give that folder" if found else None


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _glob(folder: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return ()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _base_of(folder: Path) -> str | None:
    try:
        fields: Any = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    base = fields.get("base_model_name_or_path") if isinstance(fields, Mapping) else None
    return base if isinstance(base, str) else None
