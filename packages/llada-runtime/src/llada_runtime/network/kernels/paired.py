"""Products whose outputs belong together two by two, finished where they are computed.

A program holds the outputs i and i + distance at once: the gate and the up projection of a SwiGLU, or the two
halves of a rotated head. So neither ``[N, 2 h]`` nor unrotated queries, keys and values go to memory.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.gate import gated
from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import Tiling
from llada_runtime.network.kernels.product import multiply, operand, tile_rows
from llada_runtime.network.kernels.rotary import rotated
from llada_runtime.network.kernels.split import Split

__all__ = ["gated_product", "rotated_product"]


def gated_product(
    x: Tensor | Split,
    weight: Tensor,
    *,
    scale: Tensor | None = None,
    tiling: Tiling,
    overlap: bool = False,
) -> Tensor:
    """``silu(gate) * up``, ``[N, h]``, of ``x [N, in]`` and the fused ``weight [2 h, in]``, gates first, with
    its ``scale [2 h]`` where it has eight bits."""
    rows, inputs = len(x), weight.shape[1]
    hidden, pairs = weight.shape[0] // 2, tiling.outputs // 2
    assert tiling.fits(inputs)
    assert hidden % pairs == 0
    numbers, own_scale, halves = operand(x)
    out = weight.new_empty(rows, hidden, dtype=x.dtype)
    _launched(
        _gated_product,
        hidden // pairs,
        numbers,
        own_scale,
        weight,
        scale,
        out,
        rows,
        hidden,
        inputs,
        tile_rows(rows),
        halves,
        tiling=tiling,
        overlap=overlap,
    )
    return out


def rotated_product(
    x: Tensor | Split,
    weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    places: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: Tensor | None = None,
    tiling: Tiling,
    overlap: bool = False,
) -> Tensor:
    """Rotated queries ``[N, heads, hd]`` of ``x [N, in]``; its rotated keys and its values go to the pool.

    ``weight`` is the fused one, ``[(heads + 2 kv_heads) hd, in]``, and ``scale`` that of each output where it
    has eight bits; the others are as in `rotary.rotate_and_keep`.
    """
    rows, inputs = len(x), weight.shape[1]
    kv_heads, head_dim = keys.shape[1:]
    heads, pairs = weight.shape[0] // head_dim - 2 * kv_heads, tiling.outputs // 2
    assert tiling.fits(inputs)
    assert (head_dim // 2) % pairs == 0
    numbers, own_scale, halves = operand(x)
    query = keys.new_empty(rows, heads, head_dim)
    _launched(
        _rotated_product,
        (heads + 2 * kv_heads) * (head_dim // 2 // pairs),
        numbers,
        own_scale,
        weight,
        scale,
        cos,
        sin,
        places,
        query,
        keys,
        values,
        rows,
        inputs,
        heads,
        kv_heads,
        head_dim // 2,
        tile_rows(rows),
        halves,
        tiling=tiling,
        overlap=overlap,
    )
    return query


def _launched(kernel: Any, programs: int, *args: Any, tiling: Tiling, overlap: bool) -> None:
    """Launch a kernel of so many programs; the last of its arguments are those that the tiling says."""
    launch(
        kernel,
        (programs, 1, 1),
        *args,
        tiling.outputs // 2,
        tiling.inputs,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )


@triton.jit
def _paired(
    x,
    x_scale,
    weight,
    w_scale,
    first,
    distance,
    rows,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    HALVES: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    """Outputs ``first + [0, PAIRS)`` and those ``distance`` further, each float32 ``[PAIRS, ROWS]``."""
    index = tl.arange(0, 2 * PAIRS)
    output = first + index % PAIRS + (index // PAIRS) * distance
    inputs_ready(OVERLAP)
    total = multiply(
        x, x_scale, weight, w_scale, output, rows, 0, INPUTS, INPUTS, ROWS, 2 * PAIRS, TILE, HALVES
    )
    release_next(OVERLAP)
    return tl.split(tl.permute(tl.reshape(total, [2, PAIRS, ROWS]), [1, 2, 0]))


@triton.jit(do_not_specialize=["rows"])
def _gated_product(
    x,
    x_scale,
    weight,
    w_scale,
    out,
    rows,
    hidden,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    HALVES: tl.constexpr,
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    first = tl.program_id(0) * PAIRS
    gate, up = _paired(
        x, x_scale, weight, w_scale, first, hidden, rows, INPUTS, ROWS, PAIRS, TILE, HALVES, OVERLAP
    )
    gate, up = gate.to(out.dtype.element_ty), up.to(out.dtype.element_ty)
    row = tl.arange(0, ROWS)[None, :]
    at = row * hidden + first + tl.arange(0, PAIRS)[:, None]
    tl.store(out + at, gated(gate, up), mask=row < rows)


@triton.jit(do_not_specialize=["rows"])
def _rotated_product(
    x,
    x_scale,
    weight,
    w_scale,
    cos,
    sin,
    places,
    query,
    keys,
    values,
    rows,
    INPUTS: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    ROWS: tl.constexpr,
    HALVES: tl.constexpr,
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    head = tl.program_id(0) // (HALF // PAIRS)  # of q, then k, then v
    offset = tl.program_id(0) % (HALF // PAIRS) * PAIRS
    first = head * 2 * HALF + offset
    low, high = _paired(
        x, x_scale, weight, w_scale, first, HALF, rows, INPUTS, ROWS, PAIRS, TILE, HALVES, OVERLAP
    )
    low, high = low.to(query.dtype.element_ty), high.to(query.dtype.element_ty)

    row, channel = tl.arange(0, ROWS), (offset + tl.arange(0, PAIRS))[:, None]
    real = row < rows
    if head < HEADS + KV_HEADS:
        turn = (2 * row + 1)[None, :] * HALF + channel  # [PAIRS, ROWS]
        c = tl.load(cos + turn, mask=real[None, :], other=0.0)
        s = tl.load(sin + turn, mask=real[None, :], other=0.0)
        first_, second_ = rotated(low, high, c, s)
        low, high = first_.to(low.dtype), second_.to(low.dtype)
    if head < HEADS:
        at = query + (row.to(tl.int64)[None, :] * HEADS + head) * 2 * HALF + channel
        kept = real
    else:
        place = tl.load(places + row, mask=real, other=-1).to(tl.int64)
        kept = place >= 0
        if head < HEADS + KV_HEADS:
            at = keys + (place[None, :] * KV_HEADS + head - HEADS) * 2 * HALF + channel
        else:
            at = values + (place[None, :] * KV_HEADS + head - HEADS - KV_HEADS) * 2 * HALF + channel
    tl.store(at, low, mask=kept[None, :])
    tl.store(at + HALF, high, mask=kept[None, :])
