"""Rotary position embedding, half-split, in float32 (RoFormer, arXiv 2104.09864)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rotary", "Turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary:
    """How far a column's position turns its queries and keys.

    Attributes:
        frequencies: float32 ``[hd/2]``, radians a position; on the device of the positions.
        scale: of cosines and sines.
        query_growth, growth_from: after rotation, queries are multiplied by ``1 + query_growth · ln(1 +
            ⌊position / growth_from⌋)``, as in Llama 4; a growth of 0 is none.
    """

    frequencies: Tensor
    scale: float = 1.0
    query_growth: float = 0.0
    growth_from: int = 1

    @classmethod
    def plain(cls, theta: float, head_dim: int) -> Rotary:
        """The frequencies ``theta ** (-2i / hd)`` of RoFormer."""
        half = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        return cls(frequencies=1.0 / theta**half)

    def at(self, positions: Tensor) -> Turn:
        """The turn of columns at ``positions``, int64 ``[N]``."""
        angles = torch.outer(positions.float(), self.frequencies)  # [N, hd/2]
        cos, sin = angles.cos() * self.scale, angles.sin() * self.scale
        growth = None
        if self.query_growth:
            growth = 1 + self.query_growth * torch.log1p(positions // self.growth_from)[:, None, None]
        return Turn(
            cos=torch.cat((cos, cos), dim=-1)[:, None],  # [N, 1, hd]
            sin=torch.cat((-sin, sin), dim=-1)[:, None],
            growth=growth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The rotation of N packed columns, float32.

    ``cos`` and ``sin`` are ``[N, 1, hd]``, both halves of a head; the first half of ``sin`` is negative.
    ``growth`` is ``[N, 1, 1]``, or None where queries stay as they are.
    """

    cos: Tensor
    sin: Tensor
    growth: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """``x [N, heads, hd]``, each pair of channels ``(i, i + hd/2)`` rotated; computed in float32."""
        swapped = x.roll(x.shape[-1] // 2, dims=-1)
        return (x * self.cos).addcmul_(swapped, self.sin).to(x.dtype)
