"""Tokens drawn by Gumbel-max where their logits are: by one kernel on a GPU that runs it, else by torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from llada_core.imports import LazyModule
from llada_runtime.network.machine import why_no_kernels

if TYPE_CHECKING:
    from llada_runtime.network import kernels
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["noisiest", "noisy"]


def noisy(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """``logits [N, V]`` with Gumbel noise at a temperature above 0, float64 ``[N, V]``: what is largest of
    them is drawn. It is made in the place of ``uniform [N, V]``, float64 from [0, 1)."""
    return uniform.log_().neg_().log_().mul_(-temperature).add_(logits)


def noisiest(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """The largest of `noisy`, ids ``[N]``; ``uniform`` is used up."""
    if why_no_kernels(logits.device) is None:
        return kernels.noisiest(logits, uniform, temperature=temperature)
    return noisy(logits, uniform, temperature).argmax(-1)
