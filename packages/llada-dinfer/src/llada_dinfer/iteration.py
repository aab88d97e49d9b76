"""dInfer's iterations as a cache policy: refresh, vicinity window, smoothing, loop unrolling.

Source: dInfer (arXiv 2510.08666; inclusionAI/dInfer, ``python/dinfer``): an *iteration* is a step call,
preceded by a refresh call (a forward of the whole canvas that is kept as the cache) when one is due. Every
call commits tokens. Counters run on across blocks. This module does not know which tokens are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llada_runtime import Network, Plan, Policy, Sequence

__all__ = ["Iteration", "Progress", "Smoothing", "Vicinity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vicinity:
    """The step call's window reaches beyond the block, and caching begins after a warm-up."""

    prefix_look: int
    after_look: int
    warmup_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Masks are fed with a growing part of the embedding expected there; the threshold starts at 1."""

    weight: float
    weight_init: float
    weight_growth: float
    threshold_decay: float

    def weight_at(self, iteration: int) -> float:
        return min(self.weight_init + self.weight_growth * iteration, self.weight)

    def threshold_at(self, iteration: int, threshold: float) -> float:
        return max(1 - self.threshold_decay * iteration, threshold)


@dataclass(slots=True)
class Progress:
    """Where one sequence is in its iterations.

    Attributes:
        iteration: counts iterations, and with smoothing or vicinity refresh calls too.
        refreshed: the refresh of the current iteration is done, its step call is due.
        cached: there is a cache.
        seen_block: the block at which a refresh was last found due.
        left: iterations until the block is looked at again; None before its first.
        soft: ``[T, d]``, the embeddings that smoothing feeds; None before the first call.
    """

    iteration: int = 0
    refreshed: bool = False
    cached: bool = False
    seen_block: int | None = None
    left: int | None = None
    soft: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration(Policy):
    """dInfer's loop over a block.

    Between two looks at whether masks are left, ``max(min(masks // expected_tpf, maximum_unroll), 1)``
    iterations run, needed or not.
    """

    cache: Literal["none", "prefix", "dual"]
    update_freq: int | None
    maximum_unroll: int
    expected_tpf: int
    vicinity: Vicinity | None = None
    smoothing: Smoothing | None = None

    @property
    def caches(self) -> bool:
        return self.cache != "none"

    def begin(self) -> Progress:
        return Progress()

    def plan(self, sequence: Sequence) -> Plan:
        whole = self.smoothing is not None
        if self._refreshes(sequence):
            return Plan(lo=0, hi=sequence.length, writes=True, whole=whole)
        if self.cache == "none" or self._warms_up(sequence):
            return Plan(lo=0, hi=sequence.length, whole=whole)
        lo, hi = self._window(sequence)
        return Plan(lo=lo, hi=hi, reads=True, writes=True, whole=whole)

    def _refreshes(self, sequence: Sequence) -> bool:
        progress: Progress = sequence.policy_state
        if self.cache == "none" or progress.refreshed or self._warms_up(sequence):
            return False
        if self.vicinity is None:
            return self._due(sequence)
        return not progress.cached or (self._due(sequence) and sequence.block > 0)

    def _due(self, sequence: Sequence) -> bool:
        progress: Progress = sequence.policy_state
        new_block = progress.seen_block != sequence.block
        return new_block or (self.update_freq is not None and progress.iteration % self.update_freq == 0)

    def _warms_up(self, sequence: Sequence) -> bool:
        progress: Progress = sequence.policy_state
        return (
            self.vicinity is not None
            and not progress.refreshed
            and progress.iteration < self.vicinity.warmup_steps
        )

    def _window(self, sequence: Sequence) -> tuple[int, int]:
        """The columns of a step call."""
        if self.cache == "prefix":
            return sequence.block_start, sequence.length
        before, after = (
            (0, 0) if self.vicinity is None else (self.vicinity.prefix_look, self.vicinity.after_look)
        )
        return max(0, sequence.block_start - before), min(sequence.length, sequence.block_end + after)

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor | None:
        soft: Tensor | None = sequence.policy_state.soft
        return None if soft is None else soft[plan.lo : plan.hi]

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        progress: Progress = sequence.policy_state
        if self.smoothing is not None:
            self._smooth(sequence, self.smoothing, plan, logits, network)
        if progress.left is None:
            progress.left = self._unrolled(sequence.block_open)
        if not progress.refreshed and not self._warms_up(sequence):
            self._note_block(sequence)
        progress.refreshed = plan.writes and not plan.reads
        if progress.refreshed:
            progress.cached = True
            progress.iteration += self.vicinity is not None or self.smoothing is not None
            return
        progress.iteration += 1
        progress.left -= 1
        if progress.left == 0:
            masks = len(sequence.open_columns)
            progress.left = self._unrolled(masks) if masks else None

    def _note_block(self, sequence: Sequence) -> None:
        """Upstream takes note of the block when it asks whether a refresh is due: not without a cache."""
        progress: Progress = sequence.policy_state
        if (self.vicinity is None or progress.cached) and self._due(sequence):
            progress.seen_block = sequence.block

    def _unrolled(self, masks: int) -> int:
        return max(min(masks // self.expected_tpf, self.maximum_unroll), 1)

    def stays(self, sequence: Sequence) -> bool:
        return sequence.policy_state.left is not None

    def _smooth(
        self, sequence: Sequence, smoothing: Smoothing, plan: Plan, logits: Tensor, network: Network
    ) -> None:
        """Rewrite the embeddings of the call's columns: masks get part of what is expected there."""
        progress: Progress = sequence.policy_state
        ids = torch.tensor(sequence.canvas, device=logits.device)
        if progress.soft is None:
            progress.soft = network.embed(ids)
        part = ids[plan.lo : plan.hi]
        fresh = network.embed(part)
        masked = part == sequence.mask_id
        expected = network.mix(logits[masked].softmax(-1))
        fresh[masked] += smoothing.weight_at(progress.iteration) * expected
        progress.soft[plan.lo : plan.hi] = fresh
