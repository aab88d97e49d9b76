"""Products of few rows with a large weight: the time is that of reading the weight once.

The weight is the left operand (its outputs are the tensor cores' M, the few rows of ``x`` their N), and tiles
of it are fetched several ahead. The inputs of a long product can be split over programs; whoever reads the
parts adds them (see `norm.add_and_normalise`), in a fixed order.

A weight may have eight bits and a scale an output. It is converted in registers to the dtype of ``x``; an fp8
weight with activations that are `Split` is multiplied as it is, its columns then being twice as many.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import Tiling
from llada_runtime.network.kernels.split import Split

__all__ = ["multiply", "operand", "product", "tile_rows"]


def tile_rows(rows: int) -> int:
    """Rows of a tile that holds so many: the tensor cores take 16 or more, powers of two."""
    return max(16, triton.next_power_of_2(rows))


def operand(x: Tensor | Split) -> tuple[Tensor, Tensor | None, int]:
    """What a kernel reads of activations: the numbers, their scales, and how many it adds for one."""
    return (x.halves, x.scale, 2) if isinstance(x, Split) else (x, None, 1)


def product(
    x: Tensor | Split,
    weight: Tensor,
    *,
    scale: Tensor | None = None,
    tiling: Tiling,
    overlap: bool = False,
) -> Tensor:
    """``x weightᵗ`` of ``x [N, in]``, N at most 64, and ``weight [outputs, in]``, times ``scale [outputs]``.

    It is ``[splits, N, outputs]``: float32 parts where the inputs are split, else the product in x's dtype.
    """
    rows, (outputs, inputs) = len(x), weight.shape
    assert tiling.fits(inputs)
    numbers, own_scale, halves = operand(x)
    dtype = x.dtype if tiling.splits == 1 else torch.float32
    out = weight.new_empty(tiling.splits, rows, outputs, dtype=dtype)
    launch(
        _product,
        (triton.cdiv(outputs, tiling.outputs), tiling.splits, 1),
        numbers,
        own_scale,
        weight,
        scale,
        out,
        rows,
        outputs,
        inputs,
        tile_rows(rows),
        tiling.outputs,
        tiling.inputs,
        tiling.splits,
        halves,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


@triton.jit
def multiply(
    x,
    x_scale,
    weight,
    w_scale,
    output,
    rows,
    begin,
    INPUTS: tl.constexpr,
    SHARE: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    HALVES: tl.constexpr,
):
    """``weight[output] xᵗ`` over inputs ``begin + [0, SHARE)``, scaled, float32 ``[OUTPUTS, ROWS]``."""
    column, row = tl.arange(0, TILE), tl.arange(0, HALVES * ROWS)
    w_at = weight + output.to(tl.int64)[:, None] * INPUTS + begin + column[None, :]  # [OUTPUTS, TILE]
    real = row < HALVES * rows
    x_at = x + row[None, :] * INPUTS + begin + column[:, None]  # [TILE, HALVES * ROWS]
    total = tl.zeros([OUTPUTS, HALVES * ROWS], tl.float32)
    for _ in range(0, SHARE, TILE):
        w = tl.load(w_at, eviction_policy="evict_first").to(x.dtype.element_ty)
        # Sums of fp8 products have few digits until they are added to float32 ones, as those of a tile are.
        total = tl.dot(w, tl.load(x_at, mask=real[None, :], other=0.0), total, max_num_imprecise_acc=TILE)
        w_at += TILE
        x_at += TILE
    if HALVES == 2:
        total *= tl.load(x_scale + row, mask=real, other=0.0)[None, :]
        high, low = tl.split(tl.reshape(total, [OUTPUTS, ROWS, 2]))
        total = high + low
    if w_scale is not None:
        total *= tl.load(w_scale + output)[:, None]
    return total


@triton.jit(do_not_specialize=["rows"])
def _product(
    x,
    x_scale,
    weight,
    w_scale,
    out,
    rows,
    outputs,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    SPLITS: tl.constexpr,
    HALVES: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    SHARE: tl.constexpr = INPUTS // SPLITS
    output = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    clamped = tl.minimum(output, outputs - 1)
    begin = tl.program_id(1) * SHARE
    inputs_ready(OVERLAP)
    total = multiply(
        x, x_scale, weight, w_scale, clamped, rows, begin, INPUTS, SHARE, ROWS, OUTPUTS, TILE, HALVES
    )
    release_next(OVERLAP)
    row = tl.arange(0, ROWS)[None, :]
    at = (tl.program_id(1) * rows + row) * outputs + output[:, None]
    real = (row < rows) & (output[:, None] < outputs)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=real)
