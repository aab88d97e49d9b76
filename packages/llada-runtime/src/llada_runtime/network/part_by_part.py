"""Weights that are put in eight bits while a checkpoint is read: never are all of them there as published.

The weights of products have no memory until they are read (see `unfilled`); then each gets its own, is
filled, and becomes smaller before the next one. So the peak is the smaller network and one weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from llada_runtime.network.sources import Source, Stored
from llada_runtime.network.split import Piece
from llada_runtime.network.unfilled import memory_of

__all__ = ["PartByPart", "Product"]


class Product(Protocol):
    """A part of a network that multiplies by a weight, such as a `Linear`."""

    weight: nn.Parameter | None

    def quantise(self, kind: str) -> None:
        """Put the weight in eight bits, "fp8" or "int8"."""
        ...


class PartByPart:
    """A `Source` that gives each of some ``parts`` its memory, fills it and puts it in eight bits.

    Their targets are views of weights that have no memory yet; other targets are filled at the end.

    Args:
        kind: "fp8" or "int8".
        device: where the weights are to be.
    """

    def __init__(self, source: Source, parts: Iterable[Product], *, kind: str, device: torch.device) -> None:
        self.folder: Path = source.folder
        self._source, self._parts, self._kind, self._device = source, list(parts), kind, device

    def stored(self) -> Mapping[str, Stored]:
        return self._source.stored()

    def copy(self, targets: Mapping[str, Tensor], pieces: Mapping[str, Piece]) -> None:
        names: dict[int, list[str]] = {}
        for name, target in targets.items():
            names.setdefault(memory_of(target), []).append(name)
        for part in self._parts:
            if part.weight is not None and part.weight.is_meta:
                own = names.pop(memory_of(part.weight), [])
                self._fill(part, {name: targets[name] for name in own}, pieces)
        self._source.copy({name: targets[name] for rest in names.values() for name in rest}, pieces)

    def read(self, name: str) -> Tensor:
        return self._source.read(name)

    def _fill(self, part: Product, targets: Mapping[str, Tensor], pieces: Mapping[str, Piece]) -> None:
        assert part.weight is not None
        whole = torch.empty_like(part.weight, device=self._device)
        part.weight = nn.Parameter(whole, requires_grad=False)
        views = {
            name: whole.as_strided(target.shape, target.stride(), target.storage_offset())
            for name, target in targets.items()
        }
        self._source.copy(views, pieces)
        del whole, views  # or the weight would stay beside what it becomes
        part.quantise(self._kind)
