"""A threshold that is to be exceeded."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from llada_runtime import Threshold

__all__ = ["Above"]


@dataclass(frozen=True, slots=True)
class Above(Threshold):
    """Every proposal more confident than ``threshold``, and in any case the best one."""

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return (ranked > parameters).sum(-1)
