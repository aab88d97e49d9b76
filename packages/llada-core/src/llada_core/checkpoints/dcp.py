"""A ``torch.distributed.checkpoint`` folder as a checkpoint in the Hugging Face layout.

Reads the model's tensors only (optimizer state is left where it is), a shard at a time, in one process.
Imported only through ``LazyModule``: it needs torch.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from llada_core.checkpoints.contents import is_dcp, meant_inside
from llada_core.checkpoints.guard import raised_as
from llada_core.checkpoints.places import local_folder, model_name, shown
from llada_core.checkpoints.prefixes import AmbiguousPrefix, names_in_model
from llada_core.errors import ModelError, ModelLoadError, ModelNotFound, UsageError
from llada_core.faults import one_line
from llada_core.names import some

__all__ = ["as_hf_folder"]

_SHARD_BYTES = 4 * 2**30
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
# Beside the weights in a base model's folder: not to be copied.
_WEIGHT_SUFFIXES = (
    ".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json", ".distcp", ".metadata",
)  # fmt: skip

TensorFacts = Mapping[str, TensorStorageMetadata]


@contextmanager
def as_hf_folder(
    dcp_path: str | os.PathLike[str],
    base: Path,
    *,
    names: Collection[str] | None = None,
    prefix: str | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
) -> Iterator[Path]:
    """A temporary folder with the weights of ``dcp_path`` and all else of ``base``, removed on leaving.

    ``names`` are those of the model's tensors, and tell where in the checkpoint the model is; a ``prefix``
    says so outright. With None, the weights in ``base`` are asked for names, and where these do not help the
    names in the checkpoint itself. What is not the model's is left out. Errors of loading that are raised
    inside name ``dcp_path`` or ``base``.

    Raises ``ModelNotFound`` where ``dcp_path`` is no such checkpoint, ``ModelLoadError`` where it cannot be
    read or holds none of the model's tensors, and ``UsageError`` where it holds the model several times.
    """
    source = _source(dcp_path)
    facts = _read_facts(source)
    found = {} if names is not None else _named(source, facts, _names_of(base), prefix)
    found = found or _named(source, facts, names or (), prefix)
    if not found:
        raise _strange(source, facts, names or (), prefix)
    with _scratch(temp_dir) as folder:
        with raised_as(lambda exc: _refusal(source, _without_room(folder, exc))):
            _copy_settings(base, folder)
            _write_shards(source, facts, found, folder)
        with _named_by_source(folder, source, base):
            yield folder


def _source(dcp_path: str | os.PathLike[str]) -> Path:
    """The folder of a checkpoint. Raises ``ModelNotFound`` where it is none."""
    name = model_name(dcp_path)
    folder = local_folder(name)
    if folder is None or not is_dcp(folder):
        told = None if folder is None else meant_inside(folder, "*/.metadata")
        if folder is not None and (folder / "config.json").is_file():
            told = "it is in the Hugging Face layout; load it with load_model_from_hf"
        raise ModelNotFound(
            f"{shown(name)} is not a torch.distributed checkpoint (it has no .metadata file); "
            f"{told or 'give the folder that dcp.save wrote'}",
            path=name,
        )
    return folder


def _read_facts(path: Path) -> TensorFacts:
    # Unpickling foreign bytes may raise anything.
    told = "its .metadata cannot be read"
    with raised_as(lambda exc: _refusal(path, f"{told} ({one_line(exc)}); save it again")):
        metadata = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
    return {name: facts for name, facts in metadata.items() if isinstance(facts, TensorStorageMetadata)}


def _names_of(base: Path) -> Collection[str]:
    """The tensor names of the base model, as far as its folder tells them; empty where it has no weights."""
    try:
        if not (base / _SINGLE).is_file() and (base / _INDEX).is_file():
            return set(json.loads((base / _INDEX).read_text(encoding="utf-8"))["weight_map"])
        names: set[str] = set()
        for file in base.glob("*.safetensors"):
            with safe_open(file, framework="pt") as tensors:
                names.update(tensors.keys())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        reason = f"the names of its tensors cannot be read ({exc}); replace the weights, or remove them"
        raise ModelLoadError(f"{base}: {reason}", path=str(base), reason=reason) from exc
    return names


def _named(path: Path, facts: TensorFacts, known: Collection[str], prefix: str | None) -> Mapping[str, str]:
    """The names to be loaded, each with its name in the model; empty where none is one of the ``known``."""
    if not facts:
        raise _refusal(path, "it holds no tensors; give the checkpoint of a model")
    if not (prefix is None or isinstance(prefix, str)):
        raise UsageError(f"prefix={prefix!r} is no prefix of names; give a string such as 'policy.'")
    behind = f"{prefix.rstrip('.')}." if prefix else prefix
    try:
        return names_in_model(facts, known, prefix=behind)
    except AmbiguousPrefix as exc:
        raise UsageError(
            f"{path} holds the model several times, under {exc}; give the prefix of the one that you mean, "
            f"such as prefix={exc.prefixes[0]!r}"
        ) from exc


def _strange(path: Path, facts: TensorFacts, known: Collection[str], prefix: str | None) -> ModelLoadError:
    where = "" if prefix is None else f" behind the prefix {prefix!r}"
    wanted = f" ({some(known)})" if known else ""
    return _refusal(
        path,
        f"none of its tensors ({some(facts)}) is one of the model's{wanted}{where}; "
        "give the base model that it was trained from",
    )


@contextmanager
def _scratch(temp_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    """A new folder in ``temp_dir``, removed on leaving. Raises ``UsageError`` where none can be made."""
    try:
        made = tempfile.TemporaryDirectory(prefix="llada-dcp-", dir=temp_dir)
    except (OSError, TypeError, ValueError) as exc:
        message = f"temp_dir={temp_dir!r} takes no folder ({exc}); give one that can be written"
        raise UsageError(message) from exc
    with made as folder:
        yield Path(folder)


@contextmanager
def _named_by_source(made: Path, source: Path, base: Path) -> Iterator[None]:
    """Let errors of loading name the folders that the caller gave: the one that was made is gone."""

    def told(text: str) -> str:
        text = re.sub(rf"{re.escape(str(made))}/model[-.][\w.-]*", str(source), text)
        text = re.sub(rf"{re.escape(str(made))}/(?=\w)", f"{base}/", text)
        return text.replace(str(made), str(source))

    try:
        yield
    except ModelError as exc:
        exc.args = tuple(told(arg) if isinstance(arg, str) else arg for arg in exc.args)
        exc.path = told(exc.path)
        if isinstance(exc, ModelLoadError):
            exc.reason = told(exc.reason)
        raise


def _without_room(folder: Path, exc: BaseException) -> str:
    return (
        f"it cannot be copied to {folder.parent} ({one_line(exc)}); give a temp_dir with room for the model"
    )


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
    told = "its weights cannot be read"
    with (
        raised_as(lambda exc: _refusal(path, f"{told} ({_met(exc)}); save it again")),
        warnings.catch_warnings(),
    ):
        # It says that it loads in a single process, which is what is wanted.
        warnings.filterwarnings("ignore", message="torch.distributed is")
        dcp.load(state, storage_reader=dcp.FileSystemReader(path))
    return state


def _met(exc: BaseException) -> str:
    """What happened, which a ``CheckpointException`` wraps."""
    return one_line(next(iter(exc.failures.values()))[0] if isinstance(exc, dcp.CheckpointException) else exc)


def _dtype(fact: TensorStorageMetadata) -> torch.dtype:
    return fact.properties.dtype


def _refusal(path: Path, reason: str) -> ModelLoadError:
    return ModelLoadError(f"{path} cannot be loaded: {reason}", path=str(path), reason=reason)
