"""What most decoding needs of logits, made of them where they are: a token a column and how likely it is.

A CUDA graph of a forward holds it, so that logits are written once and read once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from llada_core.imports import LazyModule

if TYPE_CHECKING:
    from llada_runtime.network import kernels
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["Likeliest"]


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The likeliest token of each column but ``excluded``, and its softmax probability.

    Called with logits ``[H, V]`` it returns float64 ``[2, H]``, in which ids are exact; where a logit of the
    column is NaN, so is the probability.
    """

    excluded: int

    def __call__(self, logits: Tensor) -> Tensor:
        return kernels.likeliest(logits, excluded=self.excluded)
