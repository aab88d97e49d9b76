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
        frequencies: float32 ``[r/2]``, radians a position; on the device of the positions. The first r
            channels of a head are turned; others, where it has more, pass as they are.
        scale: of cosines and sines.
        query_growth, growth_from: after rotation, queries are multiplied by ``1 + query_growth · ln(1 +
            ⌊position / growth_from⌋)``, as in Llama 4; a growth of 0 is none.
    """

    frequencies: Tensor
    scale: float = 1.0
    query_growth: float = 0.0
    growth_from: int = 1

    @classmethod
    def plain(cls, theta: float, channels: int) -> Rotary:
        """The frequencies ``theta ** (-2i / r)`` of RoFormer, for r ``channels``: a head's, or fewer."""
        half = torch.arange(0, channels, 2, dtype=torch.float32) / channels
        return cls(frequencies=1.0 / theta**half)

    @property
    def channels(self) -> int:
        """How many channels of a head are turned, r."""
        return 2 * len(self.frequencies)

    def at(self, positions: Tensor) -> Turn:
        """The turn of columns at ``positions``, int64 ``[N]``."""
        angles = torch.outer(positions.float(), self.frequencies)  # [N, r/2]
        cos, sin = angles.cos() * self.scale, angles.sin() * self.scale
        growth = None
        if self.query_growth:
            growth = 1 + self.query_growth * torch.log1p(positions // self.growth_from)[:, None, None]
        return Turn(
            cos=torch.cat((cos, cos), dim=-1)[:, None],  # [N, 1, r]
            sin=torch.cat((-sin, sin), dim=-1)[:, None],
            growth=growth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The rotation of N packed columns, float32.

    ``cos`` and ``sin`` are ``[N, 1, r]``, both halves of what is turned of a head; the first half of ``sin``
    is negative.
    ``growth`` is ``[N, 1, 1]``, or None where queries stay as they are.
    """

    cos: Tensor
    sin: Tensor
    growth: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """``x [N, heads, hd]``, each pair of channels ``(i, i + r/2)`` rotated; computed in float32."""
        channels = self.cos.shape[-1]
        if channels < x.shape[-1]:
            return torch.cat((self._turned(x[..., :channels]), x[..., channels:]), dim=-1)
        return self._turned(x)

    def _turned(self, x: Tensor) -> Tensor:
        """``x [N, heads, r]``, rotated."""
        swapped = x.roll(x.shape[-1] // 2, dims=-1)
        return (x * self.cos).addcmul_(swapped, self.sin).to(x.dtype)
