"""What ``torch.distributed.checkpoint`` says of a checkpoint, in a pickle of which nothing is run.

torch itself would unpickle it whole. Here only the classes are found that metadata are made of; whatever else
the file names is refused. Imported only through ``LazyModule``, or where torch is.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.metadata import Metadata

from llada_core.checkpoints.guard import raised_as
from llada_core.errors import ModelLoadError
from llada_core.faults import one_line

__all__ = ["Reader", "read_once", "refusal"]

_METADATA = "torch.distributed.checkpoint.metadata"
_OLD_METADATA = "torch.distributed._shard.sharded_tensor.metadata"  # of earlier releases
# By module and name, as dcp.save writes them: what stands for each is not looked up by what the file says.
_KNOWN = frozenset(
    {
        *((_METADATA, name) for name in (
            "BytesStorageMetadata", "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta",
            "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING",
        )),
        (_OLD_METADATA, "MEM_FORMAT_ENCODING"),
        (_OLD_METADATA, "TensorProperties"),
        ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    }
)  # fmt: skip
_KEPT: ContextVar[dict[Path, Metadata] | None] = ContextVar("kept", default=None)


class Reader(checkpoint.FileSystemReader):  # type: ignore[misc]  # torch has no types for it
    """Reads the checkpoint in ``folder``, whose metadata are a pickle that names nothing but metadata.

    Raises ``ModelLoadError`` where they cannot be read, or name something else.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        kept = _KEPT.get()
        if kept is None:
            return _read(self._folder)
        if self._folder not in kept:
            kept[self._folder] = _read(self._folder)
        return kept[self._folder]


@contextmanager
def read_once() -> Iterator[None]:
    """Let metadata that are read inside be read once, however often they are asked for."""
    token = _KEPT.set({} if _KEPT.get() is None else _KEPT.get())
    try:
        yield
    finally:
        _KEPT.reset(token)


def refusal(folder: Path, reason: str) -> ModelLoadError:
    """The error of a checkpoint that cannot be loaded."""
    return ModelLoadError(f"{folder} cannot be loaded: {reason}", path=str(folder), reason=reason)


def _read(folder: Path) -> Metadata:
    # Damaged bytes may raise anything.
    with (
        raised_as(
            lambda exc: refusal(folder, f"its .metadata cannot be read ({one_line(exc)}); save it again")
        ),
        open(folder / ".metadata", "rb") as file,
    ):
        found = _Unpickler(file, folder).load()
        if not isinstance(found, Metadata):
            raise TypeError(f"it holds a {type(found).__name__}")
        return found


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if (module, name) in _KNOWN:
            return super().find_class(module, name)
        raise refusal(
            self._folder,
            f"its .metadata names {module}.{name}, which metadata of torch.distributed.checkpoint have no "
            "need of, and which could run code: nothing of it is run; if you trust where it comes from, load "
            "it there and save the model again by dcp.save, with torch's own planner and writer",
        )


def _layout(name: str) -> torch.layout:
    found = getattr(torch, name.removeprefix("torch."), None)
    if not isinstance(found, torch.layout):
        raise ValueError(f"{name} is no layout of torch")
    return found


def _member(kind: Any, name: str) -> Any:
    """A member of an enumeration, which some releases of Python 3.11 pickle as an attribute of it."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise TypeError(f"{kind!r} is no enumeration")
    return kind[name]


# Of what is not found as it stands: paths stay names, and getattr would reach everything.
_STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): _layout,
    ("builtins", "getattr"): _member,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, name): pure
        for module in ("pathlib", "pathlib._local")  # Python 3.13 has them in the second
        for names, pure in (
            (("Path", "PosixPath", "PurePosixPath"), PurePosixPath),
            (("WindowsPath", "PureWindowsPath"), PureWindowsPath),
        )
        for name in names
    },
}
