"""Rotation of queries and keys to their positions (RoFormer, arXiv 2104.09864), and keeping keys and values.

Before, queries and keys may be normalised, each head by itself; rounding is as in `norm`. Half-split pairs
``(i, i + r/2)`` of the first r channels, rotated in float32 and rounded once, as the plain network does.
``cos`` and ``sin`` are what a `Turn` has, both halves of what turns; the second is read, where ``sin`` is
positive.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch

__all__ = ["rotate_and_keep", "rotated"]

_HEADS = 8
"""Heads a program rotates."""


def rotate_and_keep(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    heads: int,
    places: Tensor | None = None,
    keys: Tensor | None = None,
    values: Tensor | None = None,
    norms: tuple[Tensor, Tensor] | None = None,
    eps: float = 0.0,
) -> None:
    """Rotate queries and keys in place; keys and values go to the pool too, where one is given.

    Args:
        qkv: ``[N, heads + 2 kv_heads, hd]``, what the fused product computed; or ``[N, 2, …]``, two parts of
            it, whose sum is in the first then.
        cos, sin: float32 ``[N, 1, r]``, the turn of each column; r is a power of two, and hd at most.
        heads: of the queries.
        places: int ``[N]``, the pool column of each packed column; negative is nowhere.
        keys, values: one layer's pool, ``[columns, kv_heads, hd]``, written at ``places``.
        norms: ``[hd]`` each, the weights by which queries and keys are normalised; None leaves them as they
            are. ``eps`` is added to their mean squares.
    """
    by_query, by_key = norms or (None, None)
    columns, *parts, total, head_dim = qkv.shape
    launch(
        _rotate_and_keep,
        (columns, triton.cdiv(total, _HEADS), 1),
        qkv,
        cos,
        sin,
        places,
        keys,
        values,
        by_query,
        by_key,
        eps,
        heads,
        (total - heads) // 2,
        head_dim // 2,
        cos.shape[-1] // 2,
        parts[0] if parts else 1,
        _HEADS,
        num_warps=4,
    )


@triton.jit
def rotated(low, high, cos, sin):
    """Both halves of a head, turned; float32, of values rounded as the product left them."""
    low, high = low.to(tl.float32), high.to(tl.float32)
    return low * cos - high * sin, high * cos + low * sin


@triton.jit
def _rotated_partly(low, cos, sin, GROUP: tl.constexpr, HALF: tl.constexpr, TURNED: tl.constexpr):
    """The first halves of heads, ``[GROUP, HALF]``, of which the first ``2 TURNED`` channels turn."""
    PARTS: tl.constexpr = HALF // (2 * TURNED)
    x, y = tl.split(tl.permute(tl.reshape(low, [GROUP, PARTS, 2, TURNED]), [0, 1, 3, 2]))
    first = tl.arange(0, PARTS)[None, :, None] == 0
    channel = tl.arange(0, TURNED)[None, None, :]
    c = tl.where(first, tl.load(cos + channel), 1.0)
    s = tl.where(first, tl.load(sin + channel), 0.0)
    x, y = rotated(x, y, c, s)
    both = tl.permute(tl.join(x.to(low.dtype), y.to(low.dtype)), [0, 1, 3, 2])
    return tl.reshape(both, [GROUP, HALF])


@triton.jit
def _rotate_and_keep(
    qkv,
    cos,
    sin,
    places,
    keys,
    values,
    by_query,
    by_key,
    eps,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    TURNED: tl.constexpr,
    PARTS: tl.constexpr,
    GROUP: tl.constexpr,
):
    HEADS_OF_ALL: tl.constexpr = HEADS + 2 * KV_HEADS
    column = tl.program_id(0).to(tl.int64)
    head = (tl.program_id(1) * GROUP + tl.arange(0, GROUP))[:, None]  # of q, then k, then v
    channel = tl.arange(0, HALF)[None, :]
    turns = head < HEADS + KV_HEADS  # values stay as they are
    exists = head < HEADS_OF_ALL
    source = qkv + (column * PARTS * HEADS_OF_ALL + head) * 2 * HALF + channel
    low, high = tl.load(source, mask=exists), tl.load(source + HALF, mask=exists)
    if PARTS == 2:
        other = source + HEADS_OF_ALL * 2 * HALF
        low = (low.to(tl.float32) + tl.load(other, mask=exists).to(tl.float32)).to(low.dtype)
        high = (high.to(tl.float32) + tl.load(other + HALF, mask=exists).to(tl.float32)).to(low.dtype)
    if by_query is not None:
        wide_low, wide_high = low.to(tl.float32), high.to(tl.float32)  # [GROUP, HALF]
        squares = tl.sum(wide_low * wide_low, 1) + tl.sum(wide_high * wide_high, 1)
        rms = tl.rsqrt(squares / (2 * HALF) + eps)[:, None]
        asks = head < HEADS
        scale_low = tl.where(asks, tl.load(by_query + channel), tl.load(by_key + channel))
        scale_high = tl.where(asks, tl.load(by_query + HALF + channel), tl.load(by_key + HALF + channel))
        normed_low = (wide_low * rms).to(low.dtype).to(tl.float32) * scale_low.to(tl.float32)
        normed_high = (wide_high * rms).to(low.dtype).to(tl.float32) * scale_high.to(tl.float32)
        low = tl.where(turns, normed_low.to(low.dtype), low)
        high = tl.where(turns, normed_high.to(low.dtype), high)
    turn = (2 * column + 1) * TURNED
    if TURNED == HALF:
        first, second = rotated(low, high, tl.load(cos + turn + channel), tl.load(sin + turn + channel))
        first, second = first.to(low.dtype), second.to(low.dtype)
    else:
        first, second = _rotated_partly(low, cos + turn, sin + turn, GROUP, HALF, TURNED), high
    if PARTS == 2:
        tl.store(source, tl.where(turns, first, low), mask=exists)
        tl.store(source + HALF, tl.where(turns, second, high), mask=exists)
    else:
        tl.store(source, first, mask=turns)
        tl.store(source + HALF, second, mask=turns)
    if places is not None:
        place = tl.load(places + column).to(tl.int64)
        is_key = (head >= HEADS) & turns & (place >= 0)
        to_key = keys + (place * KV_HEADS + head - HEADS) * 2 * HALF + channel
        tl.store(to_key, first, mask=is_key)
        tl.store(to_key + HALF, second, mask=is_key)
        is_value = exists & (head >= HEADS + KV_HEADS) & (place >= 0)
        to_value = values + (place * KV_HEADS + head - HEADS - KV_HEADS) * 2 * HALF + channel
        tl.store(to_value, low, mask=is_value)
        tl.store(to_value + HALF, high, mask=is_value)
