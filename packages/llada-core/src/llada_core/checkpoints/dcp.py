"""A ``torch.distributed.checkpoint`` folder as a checkpoint in the Hugging Face layout.

Reads the model's tensors only (optimizer state is left where it is), a shard at a time, in one process.
Imported only through ``LazyModule``: it needs torch.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from llada_core.errors import ModelLoadError, ModelNotFound, one_line

__all__ = ["as_hf_folder"]

_SHARD_BYTES = 4 * 2**30
_INDEX = "model.safetensors.index.json"
# What torch.compile, FSDP and activation checkpointing put into the names of parameters.
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
# Where trainers keep the model in what they save, outermost first; "" is a bare state dict.
_PREFIXES = ("", "model.", "module.", "state_dict.", "app.model.", "state.model.", "model.module.")
# Beside the weights in a base model's folder: not to be copied.
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json")

TensorFacts = Mapping[str, TensorStorageMetadata]


@contextmanager
def as_hf_folder(
    dcp_path: Path, base: Path, *, temp_dir: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """A temporary folder with the weights of ``dcp_path`` and all else of ``base``, removed on leaving.

    Raises ``ModelNotFound`` where ``dcp_path`` is no such checkpoint, and ``ModelLoadError`` where it cannot
    be read or holds no model weights.
    """
    facts = _read_facts(dcp_path)
    names = _names_in_model(facts, _names_of(base))
    if not names:
        raise _refusal(dcp_path, "it holds no tensors; give the checkpoint of a model")
    with tempfile.TemporaryDirectory(prefix="llada-dcp-", dir=temp_dir) as made:
        folder = Path(made)
        _copy_settings(base, folder)
        _write_shards(dcp_path, facts, names, folder)
        yield folder


def _read_facts(path: Path) -> TensorFacts:
    if not (path / ".metadata").is_file():
        raise ModelNotFound(
            f"{path} is not a torch.distributed checkpoint (it has no .metadata file); "
            "give the folder that dcp.save wrote",
            path=str(path),
        )
    try:
        metadata = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
    except Exception as exc:  # unpickling foreign bytes may raise anything
        raise _refusal(path, f"its .metadata cannot be read ({one_line(exc)}); save it again") from exc
    return {name: facts for name, facts in metadata.items() if isinstance(facts, TensorStorageMetadata)}


def _names_of(base: Path) -> set[str]:
    """The tensor names of the base model, as far as its folder tells them; empty where it has no weights."""
    try:
        if (base / _INDEX).is_file():
            return set(json.loads((base / _INDEX).read_text(encoding="utf-8"))["weight_map"])
        names: set[str] = set()
        for file in base.glob("*.safetensors"):
            with safe_open(file, framework="pt") as tensors:
                names.update(tensors.keys())
    except (OSError, ValueError, KeyError, SafetensorError) as exc:
        reason = f"the names of its tensors cannot be read ({exc}); replace the weights, or remove them"
        raise ModelLoadError(f"{base}: {reason}", path=str(base), reason=reason) from exc
    return names


def _names_in_model(stored: Iterable[str], known: set[str]) -> dict[str, str]:
    """The names to be loaded, each with its name in the model.

    With the base model's names known, the prefix that explains most of them is taken off. Otherwise a prefix
    is taken off that all names but those of an optimizer share, and the loader of the network has the last
    word.
    """
    clean = {name: _unwrapped(name) for name in stored if not name.startswith(("optim", "optimizer"))}
    if known:
        prefix = max(
            _PREFIXES, key=lambda p: sum(n.startswith(p) and n[len(p) :] in known for n in clean.values())
        )
    else:
        prefix = "model." if any(name.startswith("model.model.") for name in clean.values()) else ""
    return {name: short[len(prefix) :] for name, short in clean.items() if short.startswith(prefix)}


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _copy_settings(base: Path, folder: Path) -> None:
    for file in base.iterdir():
        if file.is_file() and not file.name.endswith(_WEIGHT_SUFFIXES):
            shutil.copyfile(file, folder / file.name)


def _write_shards(path: Path, facts: TensorFacts, names: Mapping[str, str], folder: Path) -> None:
    shards = list(_shards(facts, names))
    weight_map = {}
    for number, stored in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        loaded = _load(path, {name: facts[name] for name in stored})
        save_file({names[name]: tensor for name, tensor in loaded.items()}, folder / file, {"format": "pt"})
        weight_map.update({names[name]: file for name in stored})
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _shards(facts: TensorFacts, names: Iterable[str]) -> Iterator[list[str]]:
    shard: list[str] = []
    room = _SHARD_BYTES
    for name in names:
        size = facts[name].size.numel() * _dtype(facts[name]).itemsize
        if shard and size > room:
            yield shard
            shard, room = [], _SHARD_BYTES
        shard.append(name)
        room -= size
    yield shard


def _load(path: Path, facts: TensorFacts) -> dict[str, torch.Tensor]:
    state = {name: torch.empty(fact.size, dtype=_dtype(fact)) for name, fact in facts.items()}
    try:
        with warnings.catch_warnings():
            # It says that it loads in a single process, which is what is wanted.
            warnings.filterwarnings("ignore", message="torch.distributed is")
            dcp.load(state, storage_reader=dcp.FileSystemReader(path))
    except (Exception, dcp.CheckpointException) as exc:  # the latter is no Exception, and wraps what happened
        met = next(iter(exc.failures.values()))[0] if isinstance(exc, dcp.CheckpointException) else exc
        raise _refusal(path, f"its weights cannot be read ({one_line(met)}); save it again") from exc
    return state


def _dtype(fact: TensorStorageMetadata) -> torch.dtype:
    return fact.properties.dtype


def _refusal(path: Path, reason: str) -> ModelLoadError:
    return ModelLoadError(f"{path} cannot be loaded: {reason}", path=str(path), reason=reason)
