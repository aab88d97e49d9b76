"""The weighed sum of what a column's experts made."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next

__all__ = ["mixed_experts"]

_BLOCK = 1024


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
