"""The token of each row of logits that is largest with Gumbel noise, in one read of both.

What is drawn so is drawn from the softmax at a temperature (Gumbel-max). Noise and sums are float64, as
LLaDA has them: in float32 there are so few numbers close to 1 that improbable tokens are never drawn.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llada_runtime.network.kernels.launch import launch

__all__ = ["noisiest"]

_SHARE = 2048
"""Logits that a program reads."""


def noisiest(logits: Tensor, uniform: Tensor, *, temperature: float) -> Tensor:
    """Tokens, int64 ``[N]``, of ``logits [N, V]`` and ``uniform [N, V]``, float64 from [0, 1).

    The noise of a token is ``-ln(-ln u)`` times the temperature; a ``u`` of 0 loses to all others. Of equal
    sums the lowest token is taken. Of a row that holds a NaN it is any.
    """
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    rows, vocabulary = logits.shape
    tiles = triton.cdiv(vocabulary, _SHARE)
    heat = torch.full((1,), temperature, dtype=torch.float64, device=logits.device)  # an argument is float32
    peaks = logits.new_empty(rows, tiles, dtype=torch.float64)
    winners = logits.new_empty(rows, tiles, dtype=torch.int64)
    launch(
        _reduce,
        (rows, tiles, 1),
        logits,
        uniform,
        heat,
        peaks,
        winners,
        logits.stride(0),
        vocabulary,
        tiles,
        _SHARE,
        num_warps=8,
    )
    best = (peaks == peaks.amax(-1, keepdim=True)).to(torch.uint8).argmax(-1, keepdim=True)
    return winners.gather(-1, best)[:, 0].clamp_(max=vocabulary - 1)


@triton.jit
def _reduce(logits, uniform, heat, peaks, winners, distance, vocabulary, tiles, SHARE: tl.constexpr):
    row, tile = tl.program_id(0), tl.program_id(1)
    token = tile * SHARE + tl.arange(0, SHARE)
    real = token < vocabulary
    values = tl.load(logits + row.to(tl.int64) * distance + token, mask=real, other=0.0)
    drawn = tl.load(uniform + row.to(tl.int64) * vocabulary + token, mask=real, other=0.5)
    noisy = values.to(tl.float64) - tl.load(heat) * tl.log(-tl.log(drawn))
    noisy = tl.where(real, noisy, float("-inf"))
    peak = tl.max(noisy, 0)
    tl.store(peaks + row * tiles + tile, peak)
    tl.store(winners + row * tiles + tile, tl.min(tl.where(noisy == peak, token, vocabulary), 0))
