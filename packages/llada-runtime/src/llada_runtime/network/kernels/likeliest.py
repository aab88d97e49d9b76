"""The likeliest token of each row of logits and its probability, in one read of the logits.

Each program reduces its share of the vocabulary to (largest logit, its token, the rest's mass relative to
it); a second kernel merges the shares. Ties go to the lowest token. The probability is ``1 / (1 + rest)``
with ``rest`` in float32: close to 1 it keeps its order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch

__all__ = ["likeliest"]

_SHARE = 4096
"""Logits that a program reads."""


def likeliest(logits: Tensor, *, excluded: int) -> Tensor:
    """Tokens and their softmax probabilities, float64 ``[2, N]``, of ``logits [N, V]``; ids are exact in it.

    Token ``excluded`` is left out, as if its logit were -inf. A NaN among the others of a row makes its
    probability NaN.
    """
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    rows, vocabulary = logits.shape
    tiles = triton.cdiv(vocabulary, _SHARE)
    masses = logits.new_empty(2, tiles, rows, dtype=torch.float32)
    winners = logits.new_empty(tiles, rows, dtype=torch.int32)
    found = logits.new_empty(2, rows, dtype=torch.float64)
    launch(
        _reduce,
        (rows, tiles, 1),
        logits,
        masses,
        winners,
        rows,
        logits.stride(0),
        vocabulary,
        excluded,
        tiles,
        _SHARE,
        num_warps=8,
    )
    block = triton.next_power_of_2(tiles)
    launch(_merge, (rows, 1, 1), masses, winners, found, rows, tiles, block, num_warps=1)
    return found


@triton.jit
def _summary(logits, token, vocabulary, excluded):
    """Largest logit, its token, and the mass of the others relative to it."""
    allowed = (token < vocabulary) & (token != excluded)
    values = tl.where(allowed, logits.to(tl.float32), float("-inf"))
    peak = tl.max(values, 0)
    winner = tl.min(tl.where(values == peak, token, vocabulary), 0)
    others = allowed & (token != winner)
    rest = tl.sum(tl.where(others, tl.exp(values - peak), 0.0), 0)
    return peak, winner, rest


@triton.jit(do_not_specialize=["rows"])
def _reduce(logits, masses, winners, rows, distance, vocabulary, excluded, tiles, SHARE: tl.constexpr):
    row, tile = tl.program_id(0), tl.program_id(1)
    token = tile * SHARE + tl.arange(0, SHARE)
    values = tl.load(logits + row.to(tl.int64) * distance + token, mask=token < vocabulary, other=0.0)
    peak, winner, rest = _summary(values, token, vocabulary, excluded)
    at = tile * rows + row
    tl.store(masses + at, peak)
    tl.store(masses + tiles * rows + at, rest)
    tl.store(winners + at, winner)


@triton.jit(do_not_specialize=["rows"])
def _merge(masses, winners, found, rows, tiles, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    tile = tl.arange(0, BLOCK)
    real = tile < tiles
    peaks = tl.load(masses + tile * rows + row, mask=real, other=float("-inf"))
    rests = tl.load(masses + (tiles + tile) * rows + row, mask=real, other=0.0)
    winner = tl.load(winners + tile * rows + row, mask=real, other=2147483647)
    peak = tl.max(peaks, 0)
    token = tl.min(tl.where(peaks == peak, winner, 2147483647), 0)
    others = tl.where(peaks == float("-inf"), 0.0, (1.0 + rests) * tl.exp(peaks - peak))
    rest = tl.sum(tl.where(real, tl.where(winner == token, rests, others), 0.0), 0)
    tl.store(found + row, token.to(tl.float64))
    tl.store(found + rows + row, 1.0 / (1.0 + rest.to(tl.float64)))
