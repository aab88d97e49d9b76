"""The decoder ``entropy``: as many tokens a step as their uncertainty allows.

The rule is that of EB-Sampler (arXiv 2505.24857): positions in ascending order of entropy, as long as the
entropies of those before them come to no more than a budget. So what is kept together depends little on one
another, as no more can than the entropies allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_runtime import BestFirst, DualCache, Sequence, StepAlgorithm, rules_of

__all__ = ["EntropyBounded", "EntropyGeneration"]


@dataclass(frozen=True, slots=True)
class EntropyBounded(BestFirst):
    """The least uncertain proposals, up to ``budget`` nats a step, and one in any case."""

    budget: float

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        """How sure the network is of each position: its negative entropy in nats, ``[L]``."""
        return -torch.special.entr(logits.float().softmax(-1)).sum(-1)

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        """Each row's budget, float64 ``[R, 1]``."""
        return torch.tensor([[rule.budget] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        """How many positions have no more than the budget before them, int64 ``[R]``."""
        before = torch.nn.functional.pad((-ranked).cumsum(-1)[:, :-1], (1, 0))
        return (before <= parameters).sum(-1).minimum(open_counts)


class EntropyGeneration(StepAlgorithm):
    """Blocks from left to right with a dual cache, each filled by `EntropyBounded`."""

    def policy(self, params: Mapping[str, Any]) -> DualCache:
        """Only the block is computed; what is around it is read from the cache."""
        return DualCache()

    def rule(self, params: Mapping[str, Any]) -> EntropyBounded:
        """The rule with the budget of the request."""
        return EntropyBounded(params["entropy_budget"])
