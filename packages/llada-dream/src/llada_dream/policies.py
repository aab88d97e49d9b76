"""Which forwards Dream's decoders plan. Every target is decided by the logits one column before it.

Sources: the published ``_sample`` of Dream-v0 for `WholeCanvas`; Fast-dLLM's
``dream/model/generation_utils_block.py`` for `SeededBlocks`.

With ``early_stop`` a row ends once nothing can change any more; without, it runs the surplus forwards too
that upstream runs then, so that forward counts are the published ones.
"""

from __future__ import annotations

from llada_runtime import Plan, Policy, Sequence

__all__ = ["SeededBlocks", "WholeCanvas"]


class WholeCanvas(Policy):
    """Every forward covers prompt and answer; nothing is cached.

    Args:
        calls: forwards that are run in any case without ``early_stop``; 0 is as many as it takes.
    """

    caches = False

    def __init__(self, *, calls: int = 0) -> None:
        self.calls = calls

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, shift=1)

    def stays(self, sequence: Sequence) -> bool:
        return not sequence.early_stop and sequence.nfe < self.calls


class SeededBlocks(Policy):
    """A block begins by a forward of the whole canvas, which is cached and fills the block's first column.

    The others are filled by forwards that read the cache. Such a one cannot tell of the first column itself,
    whose logits are those of the column before the block.

    Args:
        dual: forwards that read cover the block alone, and what is behind it is read as the block's first
            forward left it; else they cover all from the block on, and what is before it is read.
    """

    caches = True

    def __init__(self, *, dual: bool) -> None:
        self.dual = dual

    def plan(self, sequence: Sequence) -> Plan:
        start, end = sequence.block_start, sequence.block_end
        if sequence.cached_block != sequence.block:
            return Plan(lo=0, hi=sequence.length, writes=True, shift=1, targets=(start, start + 1))
        hi = end if self.dual else sequence.length
        return Plan(lo=start, hi=hi, reads=True, writes=True, shift=1, targets=(start + 1, end))

    def stays(self, sequence: Sequence) -> bool:
        """Upstream runs one such forward in any case, also where the first column is the whole block.

        There it has no targets, and takes no step of the schedule.
        """
        seeded_now = sequence.block_nfe == 1 and sequence.idle == 0
        return not sequence.early_stop and seeded_now
