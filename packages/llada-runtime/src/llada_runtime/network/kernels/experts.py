"""Products of the rows of many experts, each with a weight of its own, which is read once where it is asked.

As in `product`, the weight is the left operand, and few rows are the tensor cores' N. Rows stay where they
are: the first product gathers them by the order of the pairs (see `routing`), the last sum finds them again.
A weight may have eight bits and a scale an output; it is converted in registers.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.gate import gated
from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import Tiling
from llada_runtime.network.kernels.routing import Order

__all__ = ["expert_products", "gated_expert_products", "mixed_experts"]

_BLOCK = 1024


def gated_expert_products(
    x: Tensor,
    order: Order,
    weight: Tensor,
    *,
    chosen: int,
    scale: Tensor | None = None,
    tiling: Tiling,
    rows: int,
    overlap: bool = False,
) -> Tensor:
    """``silu(gate) * up``, ``[P, h]`` by place, of the columns ``x [N, d]`` of the pairs.

    Args:
        weight: ``[E, 2 h, d]``, gates first. scale: float32 ``[E, 2 h]``, where it has eight bits.
        chosen: experts of a column.
        tiling: how a product is cut, in whole (``splits`` is 1). rows: of an expert at a time.
    """
    experts, both, inputs = weight.shape
    hidden, outputs = both // 2, tiling.outputs // 2
    assert tiling.splits == 1
    assert tiling.fits(inputs)
    assert hidden % outputs == 0
    out = x.new_empty(len(order.pairs), hidden)
    launch(
        _gated_expert_products,
        (hidden // outputs, experts, 1),
        x,
        order.pairs,
        order.groups,
        weight,
        scale,
        out,
        inputs,
        hidden,
        experts,
        chosen,
        rows,
        outputs,
        tiling.inputs,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


def expert_products(
    x: Tensor,
    order: Order,
    weight: Tensor,
    *,
    scale: Tensor | None = None,
    tiling: Tiling,
    rows: int,
    overlap: bool = False,
) -> Tensor:
    """The products ``[P, out]`` of ``x [P, in]``, both by place, and ``weight [E, out, in]``; the others are
    as in `gated_expert_products`."""
    experts, outputs, inputs = weight.shape
    assert tiling.splits == 1
    assert tiling.fits(inputs)
    assert outputs % tiling.outputs == 0
    out = x.new_empty(len(x), outputs)
    launch(
        _expert_products,
        (outputs // tiling.outputs, experts, 1),
        x,
        order.groups,
        weight,
        scale,
        out,
        inputs,
        outputs,
        experts,
        rows,
        tiling.outputs,
        tiling.inputs,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


def mixed_experts(
    made: Tensor, places: Tensor, weights: Tensor, beside: Tensor | None = None, *, overlap: bool = False
) -> Tensor:
    """What a column's experts ``made [P, d]``, by place, sum up to, each times its weight: ``[N, d]``.

    Args:
        places: int ``[N, k]``, where a column's pairs are, or flat.
        weights: float32 ``[N, k]``. Products are added in this order, in float32, and rounded once.
        beside: ``[S, N, d]``, parts of what an MLP beside them computed, which is added to the sum.
    """
    rows, chosen = weights.shape
    width = made.shape[1]
    out = made.new_empty(rows, width)
    launch(
        _mixed_experts,
        (rows, triton.cdiv(width, _BLOCK), 1),
        made,
        places,
        weights,
        beside,
        out,
        0 if beside is None else beside.stride(0),
        0 if beside is None else beside.stride(1),
        width,
        chosen,
        0 if beside is None else len(beside),
        _BLOCK,
        overlap,
        num_warps=4,
        launch_pdl=overlap,
    )
    return out


@triton.jit
def _multiplied(
    x,
    row,
    real,
    weight,
    scale,
    output,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
):
    """``weight[output] x[row]ᵗ``, scaled, float32 ``[OUTPUTS, ROWS]``."""
    column = tl.arange(0, TILE)
    w_at = weight + output[:, None] * INPUTS + column[None, :]  # [OUTPUTS, TILE]
    x_at = x + row.to(tl.int64)[None, :] * INPUTS + column[:, None]  # [TILE, ROWS]
    total = tl.zeros([OUTPUTS, ROWS], tl.float32)
    for _ in range(0, INPUTS, TILE):
        w = tl.load(w_at, eviction_policy="evict_first").to(x.dtype.element_ty)
        total = tl.dot(w, tl.load(x_at, mask=real[None, :], other=0.0), total)
        w_at += TILE
        x_at += TILE
    if scale is not None:
        total *= tl.load(scale + output)[:, None]
    return total


@triton.jit
def _gated_expert_products(
    x,
    pairs,
    groups,
    weight,
    scale,
    out,
    INPUTS: tl.constexpr,
    HIDDEN: tl.constexpr,
    EXPERTS: tl.constexpr,
    CHOSEN: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    index, slot = tl.arange(0, 2 * OUTPUTS), tl.program_id(1)
    first = tl.program_id(0) * OUTPUTS
    output = first + index % OUTPUTS + (index // OUTPUTS) * HIDDEN
    inputs_ready(OVERLAP)
    expert = tl.load(groups + slot).to(tl.int64)
    begin, end = tl.load(groups + EXPERTS + slot), tl.load(groups + 2 * EXPERTS + slot)
    own = weight + expert * 2 * HIDDEN * INPUTS
    own_scale = None if scale is None else scale + expert * 2 * HIDDEN
    for start in range(begin, end, ROWS):
        place = start + tl.arange(0, ROWS)
        real = place < end
        row = tl.load(pairs + place, mask=real, other=0) // CHOSEN
        total = _multiplied(x, row, real, own, own_scale, output, INPUTS, ROWS, 2 * OUTPUTS, TILE)
        release_next(OVERLAP)
        gate, up = tl.split(tl.permute(tl.reshape(total, [2, OUTPUTS, ROWS]), [1, 2, 0]))
        gate, up = gate.to(out.dtype.element_ty), up.to(out.dtype.element_ty)
        at = place.to(tl.int64)[None, :] * HIDDEN + first + tl.arange(0, OUTPUTS)[:, None]
        tl.store(out + at, gated(gate, up), mask=real[None, :])


@triton.jit
def _expert_products(
    x,
    groups,
    weight,
    scale,
    out,
    INPUTS: tl.constexpr,
    WIDTH: tl.constexpr,
    EXPERTS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    output, slot = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS), tl.program_id(1)
    inputs_ready(OVERLAP)
    expert = tl.load(groups + slot).to(tl.int64)
    begin, end = tl.load(groups + EXPERTS + slot), tl.load(groups + 2 * EXPERTS + slot)
    own = weight + expert * WIDTH * INPUTS
    own_scale = None if scale is None else scale + expert * WIDTH
    for start in range(begin, end, ROWS):
        place = start + tl.arange(0, ROWS)
        real = place < end
        total = _multiplied(x, place, real, own, own_scale, output, INPUTS, ROWS, OUTPUTS, TILE)
        release_next(OVERLAP)
        at = place.to(tl.int64)[None, :] * WIDTH + output[:, None]
        tl.store(out + at, total.to(out.dtype.element_ty), mask=real[None, :])


@triton.jit(do_not_specialize=["part_distance", "row_distance"])
def _mixed_experts(
    made,
    places,
    weights,
    beside,
    out,
    part_distance,
    row_distance,
    width,
    CHOSEN: tl.constexpr,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    release_next(OVERLAP)
    row, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    inputs_ready(OVERLAP)
    total = tl.zeros([BLOCK], tl.float32)
    for n in tl.static_range(CHOSEN):
        place = tl.load(places + row * CHOSEN + n).to(tl.int64)
        part = tl.load(made + place * width + column, mask=inside, other=0.0).to(tl.float32)
        total += part * tl.load(weights + row * CHOSEN + n)
    total = total.to(out.dtype.element_ty).to(tl.float32)
    if PARTS > 0:
        at = beside + row * row_distance + column
        other = tl.load(at, mask=inside, other=0.0).to(tl.float32)
        for part in tl.static_range(1, PARTS):
            other += tl.load(at + part * part_distance, mask=inside, other=0.0).to(tl.float32)
        total += other.to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * width + column, total.to(out.dtype.element_ty), mask=inside)
