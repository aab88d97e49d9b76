"""SwiGLU (arXiv 2002.05202) on the output of the fused gate-and-up product."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch

__all__ = ["gated", "swiglu"]

_BLOCK = 1024


def swiglu(gate_up: Tensor) -> Tensor:
    """``silu(gate) * up``, ``[N, h]``, of ``gate_up [N, 2 h]``, gates first."""
    rows, both = gate_up.shape
    hidden = both // 2
    out = gate_up.new_empty(rows, hidden)
    launch(_swiglu, (triton.cdiv(hidden, _BLOCK), rows, 1), gate_up, out, hidden, _BLOCK, num_warps=4)
    return out


@triton.jit
def gated(gate, up):
    """``silu(gate) * up`` in their dtype: SiLU in float32, rounded, then the product."""
    wide = gate.to(tl.float32)
    silu = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype).to(tl.float32)
    return (silu * up.to(tl.float32)).to(gate.dtype)


@triton.jit
def _swiglu(gate_up, out, hidden, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < hidden
    source = gate_up + row * 2 * hidden + column
    gate = tl.load(source, mask=inside, other=0.0)
    up = tl.load(source + hidden, mask=inside, other=0.0)
    tl.store(out + row * hidden + column, gated(gate, up), mask=inside)
