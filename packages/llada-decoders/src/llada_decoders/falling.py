"""A threshold that falls as masks are filled.

Source: Streaming-dLLM (arXiv 2601.17917; xiaoshideta/Streaming-dLLM @ c4320c2, ``LLaDA-1.5/generate.py``). As
published, it is not lowered in a block's first forward. Not kept: in a batch upstream counts the masks of all
rows, and a row's threshold depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_runtime import Rule, Sequence, Threshold, rules_of

__all__ = ["FallingThreshold", "falling"]


@dataclass(frozen=True, slots=True)
class FallingThreshold(Threshold):
    """A threshold that is lower the fewer of the columns that a forward computes are masks: where none were,
    by ``alpha`` of it.
    """

    alpha: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rules = rules_of(sequences, cls)
        now = [[rule.now(sequence)] for rule, sequence in zip(rules, sequences, strict=True)]
        return torch.tensor(now, dtype=torch.float64)

    def now(self, sequence: Sequence) -> float:
        """The threshold of the forward that runs."""
        if not sequence.block_nfe:
            return self.threshold
        fed = sequence.policy.plan(sequence).fed(sequence.canvas)
        share = fed.count(sequence.mask_id) / len(fed)
        return self.threshold * (1 - self.alpha * (1 - share))


def falling(params: Mapping[str, Any]) -> Rule:
    """The rule of effective ``params``."""
    return FallingThreshold(params["threshold"], params["confidence_alpha"])
