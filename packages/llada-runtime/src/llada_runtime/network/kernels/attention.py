"""Attention of ragged rows over a flat KV pool: each row reads its own extent of keys, in place.

FlashAttention-2 (arXiv 2307.08691) with keys split over programs (Flash-Decoding) where rows are few. Query
heads that share a key head are extra queries of it, so keys are read once. Row offsets are device tensors:
a captured graph serves rows of other lengths in other places of the pool.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch
from llada_runtime.network.kernels.overlap import inputs_ready, release_next

__all__ = ["attend"]

_LOG2_E = 1.4426950408889634
_GROUP = 4
"""Heads a program combines."""


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    query_starts: Tensor,
    key_starts: Tensor,
    lengths: Tensor,
    *,
    most: int,
    splits: int = 1,
    causal: bool = False,
    block: tuple[int, int] = (32, 64),
    stages: int = 3,
    overlap: bool = False,
) -> Tensor:
    """``[N, heads, hd]``: each row's queries mixed over the row's keys.

    Args:
        query: ``[N, heads, hd]``, at any distance from column to column.
        keys, values: one layer's pool, ``[columns, kv_heads, hd]``.
        query_starts: int ``[R + 1]``; row r asks with ``query[query_starts[r] : query_starts[r + 1]]``. A
            row without queries costs nothing.
        key_starts, lengths: int ``[R]``; row r owns pool columns ``key_starts[r] + [0, lengths[r])``.
        most: queries of the widest row; with R it sizes the launch, so it is fixed in a graph.
        splits: over how many programs a row's keys are split.
        causal: query n of w in a row of length l attends to keys 0 to ``l - w + n`` only.
        block: queries (times heads that share a key head) and keys a program handles at a time.
    """
    columns, heads, head_dim = query.shape
    kv_heads = keys.shape[1]
    out = query.new_empty(columns, heads, head_dim)
    partial = found = out
    if splits > 1:  # unnormalised mixtures; largest score and total mass
        partial = query.new_empty(splits, columns, heads, head_dim, dtype=torch.float32)
        found = query.new_empty(2, splits, columns, heads, dtype=torch.float32)
    tiles = triton.cdiv(most * (heads // kv_heads), block[0])
    launch(
        _attend,
        (kv_heads * tiles, lengths.shape[0], splits),
        query,
        keys,
        values,
        query_starts,
        key_starts,
        lengths,
        partial,
        found,
        columns,
        query.stride(0),
        head_dim**-0.5 * _LOG2_E,
        heads,
        kv_heads,
        head_dim,
        block[0],
        block[1],
        splits,
        causal,
        overlap,
        num_warps=4,
        num_stages=stages,
        launch_pdl=overlap,
    )
    if splits > 1:
        launch(
            _combine,
            (columns, triton.cdiv(heads, _GROUP), 1),
            partial,
            found,
            out,
            columns,
            heads,
            head_dim,
            splits,
            _GROUP,
            overlap,
            num_warps=4,
            launch_pdl=overlap,
        )
    return out


@triton.jit(do_not_specialize=["columns"])
def _attend(
    query,
    keys,
    values,
    query_starts,
    key_starts,
    lengths,
    out,
    found,
    columns,
    distance,
    scale,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    SPLITS: tl.constexpr,
    CAUSAL: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    release_next(OVERLAP)
    SHARED: tl.constexpr = HEADS // KV_HEADS  # query heads of a key head
    kv_head, tile, row = tl.program_id(0) % KV_HEADS, tl.program_id(0) // KV_HEADS, tl.program_id(1)
    begin = tl.load(query_starts + row)
    width = tl.load(query_starts + row + 1) - begin
    length = tl.load(lengths + row)
    asked = tile * QUERIES < width * SHARED
    low, high = _own_part(length, KEYS, SPLITS)
    channel = tl.arange(0, HEAD_DIM)
    first = (tl.load(key_starts + row).to(tl.int64) * KV_HEADS + kv_head) * HEAD_DIM  # of the extent
    inputs_ready(OVERLAP)  # also where nothing is asked: a finished kernel means that those before it are
    if not asked:
        return

    folded = tile * QUERIES + tl.arange(0, QUERIES)  # queries times heads that share the key head
    asks = folded < width * SHARED
    column, head = (begin + folded // SHARED).to(tl.int64), kv_head * SHARED + folded % SHARED
    asked_at = query + column[:, None] * distance + head[:, None] * HEAD_DIM + channel[None, :]
    q = tl.load(asked_at, mask=asks[:, None], other=0.0)
    place = column * HEADS + head
    last = length - width + folded // SHARED if CAUSAL else tl.full([QUERIES], 0, tl.int32) + length - 1
    mixed, peak, mass = _mix(
        q, keys + first, values + first, low, high, last, scale, KV_HEADS, HEAD_DIM, QUERIES, KEYS
    )
    if SPLITS == 1:
        result = (mixed / mass[:, None]).to(q.dtype)
        tl.store(out + place[:, None] * HEAD_DIM + channel[None, :], result, mask=asks[:, None])
    else:
        slot = tl.program_id(2).to(tl.int64) * columns * HEADS + place
        tl.store(out + slot[:, None] * HEAD_DIM + channel[None, :], mixed, mask=asks[:, None])
        tl.store(found + slot, peak, mask=asks)
        tl.store(found + SPLITS * columns * HEADS + slot, mass, mask=asks)


@triton.jit
def _own_part(length, KEYS: tl.constexpr, SPLITS: tl.constexpr):
    """The keys of this split, ``[low, high)``: whole tiles, as evenly as they go."""
    share = tl.cdiv(tl.cdiv(length, KEYS), SPLITS) * KEYS
    low = tl.program_id(2) * share
    return low, tl.minimum(length, low + share)


@triton.jit
def _mix(
    q,
    keys,
    values,
    low,
    high,
    last,
    scale,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    """Of keys [low, high): unnormalised mixture ``[QUERIES, hd]``; largest score, base 2, and mass
    ``[QUERIES]``."""
    channel = tl.arange(0, HEAD_DIM)
    peak = tl.full([QUERIES], -1e30, tl.float32)  # finite: a query may see none of a tile's keys
    mass = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD_DIM], tl.float32)
    for start in range(low, high, KEYS):
        key = start + tl.arange(0, KEYS)
        owned = key < high
        at = key.to(tl.int64)[:, None] * KV_HEADS * HEAD_DIM + channel[None, :]
        k = tl.load(keys + at, mask=owned[:, None], other=0.0)  # [KEYS, hd]
        scores = tl.dot(q, tl.trans(k)) * scale
        seen = owned[None, :] & (key[None, :] <= last[:, None])
        scores = tl.where(seen, scores, float("-inf"))
        new_peak = tl.maximum(peak, tl.max(scores, 1))
        weight = tl.exp2(scores - new_peak[:, None])
        fade = tl.exp2(peak - new_peak)
        mass = mass * fade + tl.sum(weight, 1)
        v = tl.load(values + at, mask=owned[:, None], other=0.0)
        mixed = tl.dot(weight.to(v.dtype), v, mixed * fade[:, None])
        peak = new_peak
    return mixed, peak, mass


@triton.jit(do_not_specialize=["columns"])
def _combine(
    partial,
    found,
    out,
    columns,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
    GROUP: tl.constexpr,
    OVERLAP: tl.constexpr,
):
    """Add the splits of one column's heads, each scaled to the largest score of all."""
    release_next(OVERLAP)
    head = tl.program_id(1) * GROUP + tl.arange(0, GROUP)
    real = head < HEADS
    place = tl.program_id(0).to(tl.int64) * HEADS + head
    step = columns.to(tl.int64) * HEADS
    channel = tl.arange(0, HEAD_DIM)
    inputs_ready(OVERLAP)
    peak = tl.full([GROUP], -1e30, tl.float32)
    for split in tl.static_range(SPLITS):
        peak = tl.maximum(peak, tl.load(found + split * step + place, mask=real, other=-1e30))
    mass = tl.zeros([GROUP], tl.float32)
    mixed = tl.zeros([GROUP, HEAD_DIM], tl.float32)
    for split in tl.static_range(SPLITS):
        own = tl.load(found + split * step + place, mask=real, other=-1e30)
        fade = tl.exp2(own - peak)
        mass += fade * tl.load(found + (SPLITS + split) * step + place, mask=real, other=0.0)
        at = (split * step + place)[:, None] * HEAD_DIM + channel[None, :]
        mixed += fade[:, None] * tl.load(partial + at, mask=real[:, None], other=0.0)
    at = place[:, None] * HEAD_DIM + channel[None, :]
    tl.store(out + at, (mixed / mass[:, None]).to(out.dtype.element_ty), mask=real[:, None])
