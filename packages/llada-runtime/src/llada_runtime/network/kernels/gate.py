"""SwiGLU (arXiv 2002.05202) on the output of the fused gate-and-up product."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.split import Split, store_split

__all__ = ["gated", "swiglu", "swiglu_and_split"]

_BLOCK = 1024


def swiglu(gate_up: Tensor) -> Tensor:
    """``silu(gate) * up``, ``[N, h]``, of ``gate_up [N, 2 h]``, gates first; or of ``[S, N, 2 h]``, S parts
    of it at any distances, which are added."""
    parts = gate_up if gate_up.dim() == 3 else gate_up[None]
    count, rows, both = parts.shape
    hidden = both // 2
    out = gate_up.new_empty(rows, hidden)
    distances = parts.stride(0), parts.stride(1)
    grid = rows, triton.cdiv(hidden, _BLOCK), 1  # the first number alone may be large
    launch(_swiglu, grid, parts, out, *distances, hidden, count, _BLOCK, num_warps=4)
    return out


def swiglu_and_split(parts: Tensor) -> Split:
    """What `swiglu` returns of ``parts [S, N, 2 h]``, in two fp8 halves."""
    count, rows, both = parts.shape
    hidden = both // 2
    out = Split.like(parts[0], hidden)
    distances, block = (parts.stride(0), parts.stride(1)), triton.next_power_of_2(hidden)
    launch(
        _swiglu_and_split, (rows, 1, 1), parts, out.halves, out.scale, *distances, hidden, count, block,
        num_warps=16 if block >= 8192 else 4,
    )  # fmt: skip
    return out


@triton.jit
def gated(gate, up):
    """``silu(gate) * up`` in their dtype: SiLU in float32, rounded, then the product."""
    wide = gate.to(tl.float32)
    silu = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype).to(tl.float32)
    return (silu * up.to(tl.float32)).to(gate.dtype)


@triton.jit(do_not_specialize=["part_distance"])
def _swiglu(gate_up, out, part_distance, row_distance, hidden, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < hidden
    source = gate_up + row * row_distance + column
    gate = _sum(source, part_distance, inside, PARTS)
    up = _sum(source + hidden, part_distance, inside, PARTS)
    tl.store(out + row * hidden + column, gated(gate, up), mask=inside)


@triton.jit(do_not_specialize=["part_distance"])
def _swiglu_and_split(
    gate_up, out, scales, part_distance, row_distance, hidden, PARTS: tl.constexpr, BLOCK: tl.constexpr
):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = column < hidden
    source = gate_up + row * row_distance + column
    gate = _sum(source, part_distance, inside, PARTS)
    up = _sum(source + hidden, part_distance, inside, PARTS)
    wide = gated(gate, up).to(tl.float32)
    store_split(wide, out + row * 2 * hidden, scales + 2 * row, column, hidden)


@triton.jit
def _sum(at, distance, inside, PARTS: tl.constexpr):
    """What the parts are together, rounded once; 0 outside."""
    first = tl.load(at, mask=inside, other=0.0)
    if PARTS == 1:
        return first
    total = first.to(tl.float32)
    for part in tl.static_range(1, PARTS):
        total += tl.load(at + part * distance, mask=inside, other=0.0).to(tl.float32)
    return total.to(first.dtype)
