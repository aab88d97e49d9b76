"""How a network comes of a checkpoint: by the config in a folder, and weights from there or of a trainer.

This module does not know what the network computes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from llada_core.checkpoints.dcp_source import DcpContents, DcpSource
from llada_runtime.network.checkpoint import check_source, choose_device, choose_dtype, fill
from llada_runtime.network.part_by_part import PartByPart, Product
from llada_runtime.network.quantization import check_quantization
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.sources import SafetensorsSource, Source, TrainerSource
from llada_runtime.network.split import Piece
from llada_runtime.network.unfilled import without_memory

__all__ = ["Pretrained"]


class Pretrained(nn.Module):
    """A network that is read from a checkpoint.

    Attributes:
        config: what ``config_class`` read.
        device, dtype: where the weights are and what they are.
        ranks: those that hold the other parts of the network; None where this one is whole.
        dcp: what was read of a trainer's checkpoint; None where the weights are the folder's own.
    """

    dcp: DcpContents | None = None

    config_class: ClassVar[Any]
    """Its ``from_pretrained(folder)`` reads ``config.json``, and raises CheckpointError."""

    def __init__(
        self, config: Any, *, device: torch.device, dtype: torch.dtype, ranks: Ranks | None = None
    ) -> None:
        super().__init__()
        self.config, self.device, self.dtype, self.ranks = config, device, dtype, ranks

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        quantization: str | None = None,
        ranks: Ranks | None = None,
        dcp: DcpSource | None = None,
    ) -> Self:
        """The checkpoint in ``folder`` (``config.json`` and one or several ``*.safetensors``).

        Args:
            device: where to put the weights; None is the GPU if there is one, else the CPU.
            dtype: what to make of them; None is bfloat16 on a GPU and float32 on the CPU.
            quantization: "fp8" or "int8", as in `quantise`, put in eight bits one weight after the other
                as they are read; None leaves them in ``dtype``.
            ranks: those that hold the other parts: only this rank's part is read, and no forward can be run
                before they are connected. `check_split` comes before.
            dcp: a trainer's weights to be read instead of those in ``folder``, straight into the network,
                once they are known to be what it needs.

        Raises:
            UsageError: another quantization.
            CheckpointError: a file, field or tensor is missing, unknown, damaged or of the wrong shape.
            UnsupportedArchitecture: the network does not implement what ``config.json`` asks for.
            ModelNotFound, ModelLoadError: there are no such weights of a trainer, or they are damaged.
        """
        place, kind = choose_device(device), check_quantization(quantization)
        config = cls.config_class.from_pretrained(folder)
        # Before the network has memory: a config that asks for too much of it is not of these weights.
        source = None if dcp is None else cls._checked(config, dcp)
        read: Source = source or cls._checked_folder(config, folder)
        whole = {} if ranks is None else {"ranks": ranks}
        with nullcontext() if kind is None else without_memory():
            network = cls(config, device=place, dtype=choose_dtype(dtype, place), **whole)
        if kind is not None:
            read = PartByPart(read, network.products(), kind=kind, device=place)
        fill(network.tensors(), read, pieces=network.pieces())
        network.dcp = None if source is None else source.contents
        return network.quantise(kind).pack() if kind else network.pack()

    @classmethod
    def tensor_names(cls, folder: str | Path) -> frozenset[str]:
        """The names of `tensors` of the checkpoint in ``folder``, by its ``config.json`` alone.

        Raises:
            CheckpointError, UnsupportedArchitecture: as `from_pretrained`.
        """
        return frozenset(cls._shapes(cls.config_class.from_pretrained(folder)))

    @classmethod
    def dcp_contents(cls, folder: str | Path, dcp: DcpSource) -> DcpContents:
        """What `from_pretrained` would read of ``dcp``, by its metadata: no weight is read, or has memory.

        Raises as that does.
        """
        return cls._checked(cls.config_class.from_pretrained(folder), dcp).contents

    @classmethod
    def _checked(cls, config: Any, dcp: DcpSource) -> TrainerSource:
        """The weights of a trainer, known to be those that the network needs."""
        shapes = cls._shapes(config)
        source = TrainerSource(dcp, shapes.keys())
        check_source(shapes, source)
        return source

    @classmethod
    def _checked_folder(cls, config: Any, folder: str | Path) -> SafetensorsSource:
        """The files in ``folder``, known to hold what the network needs."""
        source = SafetensorsSource(Path(folder))
        check_source(cls._shapes(config), source)
        return source

    @classmethod
    def _shapes(cls, config: Any) -> Mapping[str, Tensor]:
        """The tensors of the whole network, without any numbers."""
        return cls(config, device=torch.device("meta"), dtype=torch.bfloat16).tensors()

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Every weight under its published name; views where the network has fused several into one.

        A weight that has two names, as a tied one, is there twice.
        """

    @abstractmethod
    def pieces(self) -> dict[str, Piece]:
        """What this rank has of the published tensors that are split, by their names."""

    @abstractmethod
    def products(self) -> Iterable[Product]:
        """The parts whose weights `quantise` puts in eight bits."""

    @abstractmethod
    def quantise(self, kind: str) -> Self:
        """This network with the weights of its products in eight bits; comes before `pack`."""

    @abstractmethod
    def pack(self) -> Self:
        """This network with its layers in the fastest layout of the device."""
