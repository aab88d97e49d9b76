"""Activations as pairs of fp8 numbers, so that a product with an fp8 weight converts neither.

Tensor cores multiply fp8 by fp8 alone, and a bfloat16 has twice the digits of an e4m3 number. So each
activation is the sum of two: with a scale a row that is a power of two, ``x = scale (high + low / 16)``,
exactly, but for numbers below ``2⁻¹³`` of the row's largest, which lose at most ``2⁻²¹`` of that. The two
halves are neighbouring rows of one operand, whose products are added in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next

__all__ = ["Split", "split", "store_split"]


class Split:
    """Activations ``[N, K]`` of ``dtype``.

    Attributes:
        halves: e4m3 ``[2 N, K]``; rows 2 n and 2 n + 1 are what row n is the sum of.
        scale: float32 ``[2 N, 1]``, by what each row is to be multiplied.
    """

    __slots__ = ("dtype", "halves", "scale")

    def __init__(self, halves: Tensor, scale: Tensor, dtype: torch.dtype) -> None:
        self.halves, self.scale, self.dtype = halves, scale, dtype

    @classmethod
    def like(cls, x: Tensor, width: int | None = None) -> Split:
        """Room for ``x [N, K]``, or for as many rows of another ``width``."""
        rows = 2 * x.shape[0]
        halves = x.new_empty(rows, width or x.shape[1], dtype=torch.float8_e4m3fn)
        return cls(halves, x.new_empty(rows, 1, dtype=torch.float32), x.dtype)

    def __len__(self) -> int:
        return self.halves.shape[0] // 2

    def __getitem__(self, rows: Tensor) -> Split:
        """The ``rows``, int ``[M]``, alone."""
        both = torch.stack((2 * rows, 2 * rows + 1), -1).flatten()
        halves = self.halves.view(torch.uint8)[both].view(torch.float8_e4m3fn)  # torch gathers no fp8
        return Split(halves, self.scale[both], self.dtype)


def split(x: Tensor, *, overlap: bool = False) -> Split:
    """``x [N, K]`` in two fp8 halves."""
    rows, width = x.shape
    found = Split.like(x)
    block = triton.next_power_of_2(width)
    launch(
        _split,
        (rows, 1, 1),
        x,
        found.halves,
        found.scale,
        width,
        block,
        overlap,
        num_warps=8 if block >= 2048 else 4,
        launch_pdl=overlap,
    )
    return found


@triton.jit
def _scale_of(peak):
    """The power of two that brings a row's largest number, ``peak`` float32, into [128, 256); its inverse."""
    exponent = peak.to(tl.int32, bitcast=True) >> 23
    exponent = tl.maximum(exponent - 7, 27)  # of rows of zeros too; its inverse is finite
    return (exponent << 23).to(tl.float32, bitcast=True), ((254 - exponent) << 23).to(
        tl.float32, bitcast=True
    )


@triton.jit
def _halves(x, inverse):
    """``x`` float32 in units of a row's scale, whose inverse is given: high, and 16 times what it lacks."""
    scaled = x * inverse
    high = _rounded(scaled)
    return high.to(tl.float8e4nv), ((scaled - high) * 16).to(tl.float8e4nv)


@triton.jit
def _rounded(x):
    """``x`` float32, below 448, rounded to e4m3: reading an fp8 number back gave others with Triton 3.6."""
    bits = x.to(tl.int32, bitcast=True)
    normal = ((bits + 0x7FFFF + ((bits >> 20) & 1)) & -0x100000).to(tl.float32, bitcast=True)  # 3 + 1 digits
    small = (x + 24576.0) - 24576.0  # in steps of 2⁻⁹
    return tl.where(tl.abs(x) < 0.015625, small, normal)


@triton.jit
def _split(x, out, scales, width, BLOCK: tl.constexpr, OVERLAP: tl.constexpr):
    release_next(OVERLAP)
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = column < width
    inputs_ready(OVERLAP)
    wide = tl.load(x + row * width + column, mask=inside, other=0.0).to(tl.float32)
    store_split(wide, out + row * 2 * width, scales + 2 * row, column, width)


@triton.jit
def store_split(wide, out, scales, column, width):
    """Write a row, float32 and 0 from ``width`` on, as its halves and their scales."""
    inside = column < width
    scale, inverse = _scale_of(tl.max(tl.abs(wide), 0))
    high, low = _halves(wide, inverse)
    tl.store(out + column, high, mask=inside)
    tl.store(out + width + column, low, mask=inside)
    tl.store(scales, scale)
    tl.store(scales + 1, scale * 0.0625)  # a division would not be exact
