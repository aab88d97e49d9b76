"""Storage for keys and values: one slot a request, every column at its own position.

Keys are stored after rotation: a column's position never changes, so rotating once is exact. This module
does not know when a slot is refreshed or read; plans say that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from llada_runtime.network.transformer import Shape

__all__ = ["KVCache"]


class KVCache:
    """Keys and values of up to ``slots`` requests of up to ``length`` columns.

    ``keys[l]`` and ``values[l]`` are ``[slots, length, kv_heads, head_dim]``. Memory is taken when the
    first slot is.
    """

    def __init__(
        self, shape: Shape, *, slots: int, length: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.slots, self.length = slots, length
        self._shape = (shape.n_layers, slots, length, shape.n_kv_heads, shape.head_dim)
        self._device, self._dtype = device, dtype
        self._free = list(range(slots))
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    @property
    def room(self) -> int:
        """Number of slots nobody holds."""
        return len(self._free)

    def take(self) -> int:
        """A free slot, lowest number first, so that the slots in use stay next to each other."""
        if self._keys is None:
            self._keys = torch.zeros(self._shape, device=self._device, dtype=self._dtype)
            self._values = torch.zeros_like(self._keys)
        self._free.sort()
        return self._free.pop(0)

    def release(self, slot: int) -> None:
        assert slot not in self._free
        self._free.append(slot)

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, each ``[slots, length, kv_heads, head_dim]``."""
        assert self._keys is not None
        assert self._values is not None
        return self._keys[index], self._values[index]
