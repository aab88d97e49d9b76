"""A dual cache that is refreshed in part: everything is cached once, and then only what is near the block.

Fast-dLLM (arXiv 2505.22618) rebuilds its caches by a forward of the whole canvas as each block begins. Keys
of columns far from the block move little meanwhile, those of the prompt least (dLLM-Cache, arXiv 2506.06295):
here they stay as they were computed, for as many blocks as is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import BlockCache, Plan, Policy, Sequence

__all__ = ["FrozenCache", "frozen"]


class FrozenCache(BlockCache):
    """Only the block is computed, and as one begins also ``back`` columns before and ``ahead`` behind it.

    The row's first forward covers the whole canvas and caches all of it. ``back`` reaches to the answer's
    first column at most, which None asks for; ``ahead`` None is up to the answer's end. With a ``back`` of 0
    the tokens that a block's last forward writes are not seen: their columns stay in the cache as masks. The
    whole canvas is computed again as every ``every``-th block begins, 1 being a `DualCache`; None is never,
    so that the prompt is computed once.
    """

    def __init__(self, back: int | None, ahead: int | None, every: int | None = None) -> None:
        self.back, self.ahead, self.every = back, ahead, every

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.cached_block is not None and sequence.block_nfe:
            return self.step(sequence)
        return self.refresh(sequence)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return self.step(sequence)

    def refresh(self, sequence: Sequence) -> Plan:
        whole = sequence.cached_block
        if whole is None or (self.every is not None and sequence.block >= whole + self.every):
            return super().refresh(sequence)
        start, end = sequence.block_start, sequence.block_end
        lo = 0 if self.back is None else start - self.back
        hi = sequence.length if self.ahead is None else min(sequence.length, end + self.ahead)
        lo = min(start, max(lo, sequence.prompt_length))
        return Plan(lo=lo, hi=hi, reads=True, writes=True)

    def step(self, sequence: Sequence) -> Plan:
        return Plan(lo=sequence.block_start, hi=sequence.block_end, reads=True, writes=True)


def frozen(params: Mapping[str, Any]) -> Policy:
    """The policy of effective ``params``."""
    return FrozenCache(params["refresh_back"], params["refresh_ahead"], params["refresh_every"])
