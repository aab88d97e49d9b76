"""Products whose outputs belong together two by two, finished where they are computed.

A program holds the outputs i and i + distance at once: the gate and the up projection of a SwiGLU, or the two
halves of a rotated head. So neither ``[N, 2 h]`` nor unrotated queries, keys and values go to memory.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.gate import gated
from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next
from llada_runtime.network.kernels.plans import Tiling
from llada_runtime.network.kernels.product import multiply, tile_rows
from llada_runtime.network.kernels.rotary import rotated

__all__ = ["gated_product", "rotated_product"]


def gated_product(x: Tensor, weight: Tensor, *, tiling: Tiling, overlap: bool = False) -> Tensor:
    """``silu(gate) * up``, ``[N, h]``, of ``x [N, in]`` and the fused ``weight [2 h, in]``, gates first."""
    rows, inputs = x.shape
    hidden, pairs = weight.shape[0] // 2, tiling.outputs // 2
    assert tiling.fits(inputs)
    assert hidden % pairs == 0
    out = x.new_empty(rows, hidden)
    launch(
        _gated_product,
        (hidden // pairs, 1, 1),
        x,
        weight,
        out,
        rows,
        hidden,
        inputs,
        tile_rows(rows),
        pairs,
        tiling.inputs,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return out


def rotated_product(
    x: Tensor,
    weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    places: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    tiling: Tiling,
    overlap: bool = False,
) -> Tensor:
    """Rotated queries ``[N, heads, hd]`` of ``x [N, in]``; its rotated keys and its values go to the pool.

    ``weight`` is the fused one, ``[(heads + 2 kv_heads) hd, in]``; the others are as in
    `rotary.rotate_and_keep`.
    """
    rows, inputs = x.shape
    kv_heads, head_dim = keys.shape[1:]
    heads, pairs = weight.shape[0] // head_dim - 2 * kv_heads, tiling.outputs // 2
    assert tiling.fits(inputs)
    assert (head_dim // 2) % pairs == 0
    query = x.new_empty(rows, heads, head_dim)
    launch(
        _rotated_product,
        ((heads + 2 * kv_heads) * (head_dim // 2 // pairs), 1, 1),
        x,
        weight,
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
        pairs,
        tiling.inputs,
        overlap,
        num_warps=tiling.warps,
        num_stages=tiling.stages,
        launch_pdl=overlap,
    )
    return query


@triton.jit
def _paired(
    x,
    weight,
    first,
    distance,
    rows,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    """Outputs ``first + [0, PAIRS)`` and those ``distance`` further, each ``[PAIRS, ROWS]``, in x's dtype."""
    index = tl.arange(0, 2 * PAIRS)
    output = first + index % PAIRS + (index // PAIRS) * distance
    inputs_ready(OVERLAP)
    total = multiply(x, weight, output, rows, 0, INPUTS, INPUTS, ROWS, 2 * PAIRS, TILE)
    release_next(OVERLAP)
    halves = tl.permute(tl.reshape(total.to(x.dtype.element_ty), [2, PAIRS, ROWS]), [1, 2, 0])
    return tl.split(halves)


@triton.jit(do_not_specialize=["rows"])
def _gated_product(
    x,
    weight,
    out,
    rows,
    hidden,
    INPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    first = tl.program_id(0) * PAIRS
    gate, up = _paired(x, weight, first, hidden, rows, INPUTS, ROWS, PAIRS, TILE, OVERLAP)
    row = tl.arange(0, ROWS)[None, :]
    at = row * hidden + first + tl.arange(0, PAIRS)[:, None]
    tl.store(out + at, gated(gate, up), mask=row < rows)


@triton.jit(do_not_specialize=["rows"])
def _rotated_product(
    x,
    weight,
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
    PAIRS: tl.constexpr,
    TILE: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    head = tl.program_id(0) // (HALF // PAIRS)  # of q, then k, then v
    offset = tl.program_id(0) % (HALF // PAIRS) * PAIRS
    first = head * 2 * HALF + offset
    low, high = _paired(x, weight, first, HALF, rows, INPUTS, ROWS, PAIRS, TILE, OVERLAP)

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
