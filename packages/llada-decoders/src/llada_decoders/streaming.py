"""Streaming-dLLM: Fast-dLLM's prefix cache with a pruned suffix and a threshold that falls.

Source: Streaming-dLLM (arXiv 2601.17917; xiaoshideta/Streaming-dLLM @ c4320c2, ``LLaDA-1.5/generate.py``,
``generate_with_prefix_cache``), and Fast-dLLM for what it is made of. As published: of the masks behind the
block only the first ``window_size`` and the answer's very last are fed, so that ``gen_length`` matters
although what is between is never seen; the threshold is not lowered in a block's first forward; the answer
ends with the first complete block that holds an end token, and what stands behind it there is kept. Not kept:
in a batch upstream counts the masks of all rows, and a row's threshold depends on its neighbours. Only masks
are dropped: with fixed text in the answer the window reaches to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import BlockCache, Network, Plan, Policy, Rule, Sequence, Threshold, rules_of

from .declared.streaming import ALGORITHM, PARAMETERS
from .sequences import partner

__all__ = ["FallingThreshold", "PrunedSuffix", "StreamingGeneration"]


class PrunedSuffix(BlockCache):
    """What is before the block is cached; of what is behind it the first ``window`` columns are computed, and
    the last.
    """

    looks = False

    def __init__(self, window: int) -> None:
        self.window = window

    def refresh(self, sequence: Sequence) -> Plan:
        return self._from(sequence, 0)

    def step(self, sequence: Sequence) -> Plan:
        return self._from(sequence, sequence.block_start)

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        end = sequence.block_end
        if sequence.open_columns or end == sequence.length or not sequence.may_end(end):
            return
        ends = (sequence.canvas[c] for c in range(sequence.block_start, end))
        token = next((token for token in ends if token in sequence.end_ids), None)
        if token is not None:
            sequence.end_answer(end, token)

    def _from(self, sequence: Sequence, lo: int) -> Plan:
        last, near = sequence.length - 1, self._near(sequence)
        if near >= last:
            return Plan(lo=lo, hi=last + 1, reads=lo > 0, writes=True)
        return Plan(lo=lo, hi=near + 1, end=near + 1, tail=last, reads=lo > 0, writes=True)

    def _near(self, sequence: Sequence) -> int:
        """Column after the window: behind it there are masks only, but for the last column."""
        near, last = sequence.block_end + self.window, sequence.length - 1
        if sequence.canvas[near:last].count(sequence.mask_id) >= last - near:
            return near
        return 1 + max(c for c in range(near, last) if sequence.canvas[c] != sequence.mask_id)


@dataclass(frozen=True, slots=True)
class FallingThreshold(Threshold):
    """A threshold that is lower the fewer of the columns that `PrunedSuffix` has computed are masks: where
    none were, by ``alpha`` of it.
    """

    alpha: float

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        rules = rules_of(sequences, cls)
        now = [[rule.now(sequence)] for rule, sequence in zip(rules, sequences, strict=True)]
        return torch.tensor(now, dtype=torch.float64)

    def now(self, sequence: Sequence) -> float:
        """The threshold of the forward that runs."""
        suffix = partner(self, sequence.policy, PrunedSuffix)
        if sequence.cached_block != sequence.block:
            return self.threshold
        fed = suffix.step(sequence).fed(sequence.canvas)
        share = fed.count(sequence.mask_id) / len(fed)
        return self.threshold * (1 - self.alpha * (1 - share))


class StreamingGeneration(FastDLLMGeneration):
    """Streaming-dLLM's decoder; ``factor`` and the quota of ``steps`` know no falling threshold."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return PrunedSuffix(params["window_size"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        rule = super().rule(params)
        if not isinstance(rule, Threshold):
            return rule
        return FallingThreshold(rule.threshold, params["confidence_alpha"])
