"""A weight of eight bits made one of a wider dtype, for products of many columns."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch

__all__ = ["widened"]

_BLOCK = 4096


def widened(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``scale weight`` in ``dtype``, rounded once, of ``weight [out, in]`` and ``scale [out]``."""
    outputs, inputs = weight.shape
    out = scale.new_empty(outputs, inputs, dtype=dtype)
    block = min(_BLOCK, triton.next_power_of_2(inputs))
    launch(
        _widened,
        (outputs, triton.cdiv(inputs, block), 1),
        weight,
        scale,
        out,
        inputs,
        block,
        num_warps=8 if block >= 2048 else 4,
    )
    return out


@triton.jit
def _widened(weight, scale, out, inputs, BLOCK: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < inputs
    wide = tl.load(weight + row * inputs + column, mask=inside).to(tl.float32) * tl.load(scale + row)
    tl.store(out + row * inputs + column, wide.to(out.dtype.element_ty), mask=inside)
