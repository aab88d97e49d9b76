"""Weights of eight bits with one scale an output: what a checkpoint's are made when it is loaded so.

Nothing but the weight is rounded: to the nearest of fp8 (e4m3, 448 at most) or of the integers from -127 to
127, in units of a scale that brings the largest number of each output there (abs-max, symmetric).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dequantised", "kind_of", "quantised"]

_KINDS = {"fp8": (torch.float8_e4m3fn, 448.0), "int8": (torch.int8, 127.0)}
_ROWS = 4096  # outputs at a time, whose float32 copies are held


def quantised(weight: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """``weight [out, in]`` in eight bits, and the float32 scale ``[out]`` by which it is to be multiplied.

    An output whose weights are all 0 has the scale 1. NaN stays NaN in fp8; in int8 its output is NaN.
    """
    dtype, largest = _KINDS[kind]
    eight = torch.empty(weight.shape, device=weight.device, dtype=dtype)
    scale = torch.empty(len(weight), device=weight.device, dtype=torch.float32)
    for begin in range(0, len(weight), _ROWS):
        rows = slice(begin, begin + _ROWS)
        wide = weight[rows].float()
        peak = wide.abs().amax(1)
        scale[rows] = torch.where(peak == 0, 1.0, peak / largest)
        steps = wide / scale[rows, None]
        eight[rows] = (steps if dtype.is_floating_point else steps.nan_to_num().round()).to(dtype)
    return eight, scale


def kind_of(weight: Tensor) -> str:
    """Which of "fp8" and "int8" has been made of the weight."""
    return next(kind for kind, (dtype, _) in _KINDS.items() if dtype == weight.dtype)


def dequantised(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``scale weight`` in ``dtype``, rounded once."""
    wide = torch.promote_types(dtype, torch.float32)
    return (weight.to(wide) * scale[:, None]).to(dtype)
