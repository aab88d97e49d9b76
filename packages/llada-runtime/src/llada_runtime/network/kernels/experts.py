"""Products of the rows of many experts, each with a weight of its own, which is read once where it is asked.

As in `product`, the weight is the left operand, and few rows are the tensor cores' N. Rows stay where they
are: the first product gathers them by the order of the pairs (see `routing`), the last sum finds them again.
A weight may have eight bits and a scale an output. It is converted in registers, or, of fp8, multiplied as
it is by activations that are `Split`.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.gate import gated
from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import ExpertPlan
from llada_runtime.network.kernels.product import operand
from llada_runtime.network.kernels.routing import Order
from llada_runtime.network.kernels.split import Split

__all__ = ["expert_products", "gated_expert_products"]


def gated_expert_products(
    x: Tensor | Split,
    order: Order,
    weight: Tensor,
    *,
    chosen: int,
    scale: Tensor | None = None,
    plan: ExpertPlan,
    overlap: bool = False,
) -> Tensor:
    """``silu(gate) * up``, ``[P, h]`` by place, of the columns ``x [N, d]`` of the pairs.

    Args:
        weight: ``[E, 2 h, d]``, gates first. scale: float32 ``[E, 2 h]``, where it has eight bits.
        chosen: experts of a column.
        plan: how the products are cut, whose inputs are not split.
    """
    experts, both, inputs = weight.shape
    tiling = plan.gate_up
    hidden, outputs = both // 2, tiling.outputs // 2
    assert tiling.splits == 1
    assert tiling.fits(inputs)
    assert hidden % outputs == 0
    numbers, own_scale, halves = operand(x)
    out = weight.new_empty(len(order.pairs), hidden, dtype=x.dtype)
    launch(
        _gated_expert_products,
        (hidden // outputs * plan.lanes, experts, 1),
        numbers,
        own_scale,
        order.pairs,
        order.groups,
        weight,
        scale,
        out,
        inputs,
        hidden,
        experts,
        chosen,
        plan.rows,
        plan.lanes,
        outputs,
        tiling.inputs,
        halves,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


def expert_products(
    x: Tensor | Split,
    order: Order,
    weight: Tensor,
    *,
    scale: Tensor | None = None,
    plan: ExpertPlan,
    overlap: bool = False,
) -> Tensor:
    """The products ``[P, out]`` of ``x [P, in]``, both by place, and ``weight [E, out, in]``; the others are
    as in `gated_expert_products`."""
    experts, outputs, inputs = weight.shape
    tiling = plan.down
    assert tiling.splits == 1
    assert tiling.fits(inputs)
    assert outputs % tiling.outputs == 0
    numbers, own_scale, halves = operand(x)
    out = weight.new_empty(len(x), outputs, dtype=x.dtype)
    launch(
        _expert_products,
        (outputs // tiling.outputs * plan.lanes, experts, 1),
        numbers,
        own_scale,
        order.groups,
        weight,
        scale,
        out,
        inputs,
        outputs,
        experts,
        plan.rows,
        plan.lanes,
        tiling.outputs,
        tiling.inputs,
        halves,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


@triton.jit
def _multiplied(
    x,
    x_scale,
    source,
    real,
    weight,
    scale,
    output,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    HALVES: tl.constexpr,
    ONCE: tl.constexpr,
):
    """``weight[output] x[source]ᵗ``, halves added, scaled, float32 ``[OUTPUTS, ROWS]``; if the weight is read
    ``ONCE``, it need not be cached."""
    column = tl.arange(0, TILE)
    w_at = weight + output[:, None] * INPUTS + column[None, :]  # [OUTPUTS, TILE]
    x_at = x + source.to(tl.int64)[None, :] * INPUTS + column[:, None]  # [TILE, HALVES * ROWS]
    total = tl.zeros([OUTPUTS, HALVES * ROWS], tl.float32)
    for _ in range(0, INPUTS, TILE):
        w = tl.load(w_at, eviction_policy="evict_first" if ONCE else "").to(x.dtype.element_ty)
        values = tl.load(x_at, mask=real[None, :], other=0.0)
        total = tl.dot(w, values, total, max_num_imprecise_acc=TILE)  # as in `product`
        w_at += TILE
        x_at += TILE
    if HALVES == 2:
        total *= tl.load(x_scale + source, mask=real, other=0.0)[None, :]
        high, low = tl.split(tl.reshape(total, [OUTPUTS, ROWS, 2]))
        total = high + low
    if scale is not None:
        total *= tl.load(scale + output)[:, None]
    return total


@triton.jit
def _gated_expert_products(
    x,
    x_scale,
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
    LANES: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    HALVES: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    index, slot = tl.arange(0, 2 * OUTPUTS), tl.program_id(1)
    first = tl.program_id(0) // LANES * OUTPUTS
    output = first + index % OUTPUTS + (index // OUTPUTS) * HIDDEN
    each, row = tl.arange(0, HALVES * ROWS), tl.arange(0, ROWS)
    inputs_ready(OVERLAP)
    expert = tl.load(groups + slot).to(tl.int64)
    begin, end = tl.load(groups + EXPERTS + slot), tl.load(groups + 2 * EXPERTS + slot)
    own = weight + expert * 2 * HIDDEN * INPUTS
    own_scale = None if scale is None else scale + expert * 2 * HIDDEN
    for start in range(begin + tl.program_id(0) % LANES * ROWS, end, LANES * ROWS):
        real = start + each // HALVES < end
        asked = tl.load(pairs + start + each // HALVES, mask=real, other=0) // CHOSEN
        total = _multiplied(
            x, x_scale, asked * HALVES + each % HALVES, real, own, own_scale, output, INPUTS, ROWS,
            2 * OUTPUTS, TILE, HALVES, LANES == 1,
        )  # fmt: skip
        release_next(OVERLAP)
        gate, up = tl.split(tl.permute(tl.reshape(total, [2, OUTPUTS, ROWS]), [1, 2, 0]))
        gate, up = gate.to(out.dtype.element_ty), up.to(out.dtype.element_ty)
        place = start + row
        at = place.to(tl.int64)[None, :] * HIDDEN + first + tl.arange(0, OUTPUTS)[:, None]
        tl.store(out + at, gated(gate, up), mask=(place < end)[None, :])


@triton.jit
def _expert_products(
    x,
    x_scale,
    groups,
    weight,
    scale,
    out,
    INPUTS: tl.constexpr,
    WIDTH: tl.constexpr,
    EXPERTS: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
    OUTPUTS: tl.constexpr,
    TILE: tl.constexpr,
    HALVES: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    output, slot = tl.program_id(0) // LANES * OUTPUTS + tl.arange(0, OUTPUTS), tl.program_id(1)
    each, row = tl.arange(0, HALVES * ROWS), tl.arange(0, ROWS)
    inputs_ready(OVERLAP)
    expert = tl.load(groups + slot).to(tl.int64)
    begin, end = tl.load(groups + EXPERTS + slot), tl.load(groups + 2 * EXPERTS + slot)
    own = weight + expert * WIDTH * INPUTS
    own_scale = None if scale is None else scale + expert * WIDTH
    for start in range(begin + tl.program_id(0) % LANES * ROWS, end, LANES * ROWS):
        real = start + each // HALVES < end
        total = _multiplied(
            x, x_scale, start * HALVES + each, real, own, own_scale, output, INPUTS, ROWS, OUTPUTS, TILE,
            HALVES, LANES == 1,
        )  # fmt: skip
        release_next(OVERLAP)
        place = start + row
        at = place.to(tl.int64)[None, :] * WIDTH + output[:, None]
        tl.store(out + at, total.to(out.dtype.element_ty), mask=(place < end)[None, :])
