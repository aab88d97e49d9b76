"""Products of few rows with a large weight: the time is that of reading the weight once.

The weight is the left operand (its outputs are the tensor cores' M, the few rows of ``x`` their N), and tiles
of it are fetched several ahead. The inputs of a long product can be split over programs; whoever reads the
parts adds them (see `norm.add_and_normalise`), in a fixed order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import Tiling

__all__ = ["multiply", "product", "tile_rows"]


def tile_rows(rows: int) -> int:
    """Rows of a tile that holds so many: the tensor cores take 16 or more, powers of two."""
    return max(16, triton.next_power_of_2(rows))


def product(x: Tensor, weight: Tensor, *, tiling: Tiling, overlap: bool = False) -> Tensor:
    """``x weightᵗ`` of ``x [N, in]``, N at most 64, and ``weight [outputs, in]``.

    It is ``[splits, N, outputs]``: float32 parts where the inputs are split, else the product in x's dtype.
    """
    rows, inputs = x.shape
    outputs = weight.shape[0]
    assert tiling.fits(inputs)
    dtype = x.dtype if tiling.splits == 1 else torch.float32
    out = x.new_empty(tiling.splits, rows, outputs, dtype=dtype)
    launch(
        _product,
        (triton.cdiv(outputs, tiling.outputs), tiling.splits, 1),
        x,
        weight,
        out,
        rows,
        outputs,
        inputs,
        tile_rows(rows),
        tiling.outputs,
        tiling.inputs,
        tiling.splits,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


@triton.jit
def multiply(
    x,
    weight,
    output,
    rows,
    begin,
    INPUTS: tl.constexpr,
    SHARE: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
):
    """``weight[output] xᵗ`` over inputs ``begin + [0, SHARE)``, float32 ``[OUTPUTS, ROWS]``."""
    column, row = tl.arange(0, TILE), tl.arange(0, ROWS)
    w_at = weight + output.to(tl.int64)[:, None] * INPUTS + begin + column[None, :]  # [OUTPUTS, TILE]
    x_at = x + row[None, :] * INPUTS + begin + column[:, None]  # [TILE, ROWS]
    real = row[None, :] < rows
    total = tl.zeros([OUTPUTS, ROWS], tl.float32)
    for _ in range(0, SHARE, TILE):
        w = tl.load(w_at, eviction_policy="evict_first")
        total = tl.dot(w, tl.load(x_at, mask=real, other=0.0), total)
        w_at += TILE
        x_at += TILE
    return total


@triton.jit(do_not_specialize=["rows"])
def _product(
    x,
    weight,
    out,
    rows,
    outputs,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    SPLITS: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    SHARE: tl.constexpr = INPUTS // SPLITS
    output = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    clamped = tl.minimum(output, outputs - 1)
    begin = tl.program_id(1) * SHARE
    inputs_ready(OVERLAP)
    total = multiply(x, weight, clamped, rows, begin, INPUTS, SHARE, ROWS, OUTPUTS, TILE)
    release_next(OVERLAP)
    row = tl.arange(0, ROWS)[None, :]
    at = (tl.program_id(1) * rows + row) * outputs + output[:, None]
    real = (row < rows) & (output[:, None] < outputs)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=real)
