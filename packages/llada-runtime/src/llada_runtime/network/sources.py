"""Where the tensors of a checkpoint come from: safetensors files, or what a trainer's ranks wrote.

A source knows names, shapes and dtypes, and how numbers get into tensors that are there already; it does not
know networks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor

from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.errors import CheckpointError
from llada_core.imports import LazyModule
from llada_runtime.network.split import Piece
from llada_runtime.network.weight_files import locate, opened

if TYPE_CHECKING:
    from llada_core.checkpoints import dcp
else:
    dcp = LazyModule("llada_core.checkpoints.dcp")  # on use: not every torch has torch.distributed

__all__ = ["FLOATING", "SafetensorsSource", "Source", "Stored", "TrainerSource"]

_FLOATING = ("F64", "F32", "F16", "BF16")  # as safetensors calls them
FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A tensor of a checkpoint.

    Attributes:
        place: the file or folder that holds it.
        dtype: what its numbers are stored as, in the words of the format.
        floating: whether they are floating-point ones that need no scales.
    """

    place: Path
    dtype: str
    floating: bool
    shape: tuple[int, ...]


class Source(Protocol):
    """The tensors of a checkpoint in a ``folder``. Each method raises CheckpointError or ModelLoadError."""

    folder: Path

    def stored(self) -> Mapping[str, Stored]:
        """All tensors by their names in the network; no number is read."""
        ...

    def copy(self, targets: Mapping[str, Tensor], pieces: Mapping[str, Piece]) -> None:
        """Fill each target with the tensor of its name, or where that is among ``pieces`` with the piece."""
        ...

    def read(self, name: str) -> Tensor:
        """A copy of the tensor, on the CPU."""
        ...


class SafetensorsSource:
    """The safetensors files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places = locate(folder)

    def stored(self) -> Mapping[str, Stored]:
        found: dict[str, Stored] = {}
        for path, names in self._by_file(self._places).items():
            with opened(path) as file:
                for name in names:
                    facts = file.get_slice(name)
                    dtype, shape = facts.get_dtype(), tuple(facts.get_shape())
                    found[name] = Stored(place=path, dtype=dtype, floating=dtype in _FLOATING, shape=shape)
        return found

    def copy(self, targets: Mapping[str, Tensor], pieces: Mapping[str, Piece]) -> None:
        for path, names in self._by_file(targets).items():
            with opened(path, targets[names[0]].device) as file:
                for name in names:
                    target, piece = targets[name], pieces.get(name)
                    part = None if piece is None else piece.slices(tuple(target.shape))
                    target.copy_(_read(path, file, name, part))

    def read(self, name: str) -> Tensor:
        path = self._places[name]
        with opened(path) as file:
            return _read(path, file, name)

    def _by_file(self, names: Collection[str]) -> dict[Path, list[str]]:
        by_file: dict[Path, list[str]] = {}
        for name, path in self._places.items():
            if name in names:
                by_file.setdefault(path, []).append(name)
        return by_file


class TrainerSource:
    """The weights that torch.distributed.checkpoint wrote, of a network whose tensors have ``names``.

    Raises:
        ModelNotFound, ModelLoadError, UsageError: there is none, it is damaged, or where it has the network
            is not clear.

    Attributes:
        contents: which tensors are the network's.
    """

    def __init__(self, source: DcpSource, names: Collection[str]) -> None:
        self._tensors = dcp.DcpTensors(source)
        self.contents = self._tensors.find(names)
        self.folder = self._tensors.folder
        self._stored = {name: stored for stored, name in self.contents.names.items()}

    def stored(self) -> Mapping[str, Stored]:
        return {name: self._facts(stored) for name, stored in self._stored.items()}

    def copy(self, targets: Mapping[str, Tensor], pieces: Mapping[str, Piece]) -> None:
        offsets = {
            self._stored[name]: pieces[name].offsets(tuple(target.shape))
            for name, target in targets.items()
            if name in pieces
        }
        self._tensors.read_into({self._stored[name]: each for name, each in targets.items()}, offsets)

    def read(self, name: str) -> Tensor:
        return self._tensors.read(self._stored[name])

    def _facts(self, stored: str) -> Stored:
        dtype = self._tensors.dtype(stored)
        return Stored(
            place=self.folder,
            dtype=str(dtype).removeprefix("torch."),
            floating=dtype in FLOATING,
            shape=self._tensors.shape(stored),
        )


def _read(path: Path, file: Any, name: str, part: tuple[slice, ...] | None = None) -> Tensor:
    """The tensor of this name, or the ``part`` of it."""
    try:
        tensor: Tensor = file.get_tensor(name) if part is None else file.get_slice(name)[part]
    except SafetensorError as exc:
        raise CheckpointError(f"{path}: {name} cannot be read ({exc}); download the file again") from exc
    return tensor
