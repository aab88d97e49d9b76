"""The cache policy of block diffusion: keys and values of what is finished are kept, and are final.

Attention is causal from block to block, blocks being counted from column 0, so that what a finished block
was computed from never changes again. Unlike a cache of what stands behind masks this one is exact.
"""

from __future__ import annotations

from llada_runtime import Plan, Policy, Sequence

__all__ = ["FinishedBlocks"]


class FinishedBlocks(Policy):
    """Denoise a block against the final keys of all before it, then run it once more, full, for its own.

    Every forward of a block writes its keys, those of the one before being of no use: they are final once a
    forward has changed nothing on the canvas. The prompt's whole blocks are run in one packed forward. Blocks
    begin at multiples of their width, and the last one has its full width too.

    Args:
        prompt_alone: run these in a forward of their own, as SDAR's code does, and not in the first one of
            the block that follows.
        closes_last: run the last block once more as well, for which nobody asks.
    """

    caches = True

    def __init__(self, *, prompt_alone: bool, closes_last: bool) -> None:
        self.prompt_alone, self.closes_last = prompt_alone, closes_last

    def plan(self, sequence: Sequence) -> Plan:
        start, end, width = sequence.block_start, sequence.block_end, sequence.block_length
        if sequence.cached.find(0, 0, start) >= 0:  # some column of the prompt is not cached
            if self.prompt_alone:
                return Plan(lo=0, hi=start, end=start, writes=True, stride=width, targets=(start, start))
            return Plan(lo=0, hi=end, end=end, writes=True, stride=width)
        if sequence.open_columns:
            return self._denoising(sequence)
        return Plan(lo=start, hi=end, end=end, reads=True, writes=True, targets=(start, start))

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return self._denoising(sequence)

    def stays(self, sequence: Sequence) -> bool:
        """Until the block is full, also where an EOS stands before its end, and its keys are final."""
        if sequence.open_columns:
            return True
        changed = sequence.idle == 0
        return changed and (self.closes_last or not _is_last(sequence))

    def _denoising(self, sequence: Sequence) -> Plan:
        start, end = sequence.block_start, sequence.block_end
        return Plan(lo=start, hi=end, end=end, reads=True, writes=True)


def _is_last(sequence: Sequence) -> bool:
    """Whether no block follows the current one, which is full: by the length, or by what stands settled."""
    last = sequence.prompt_length + sequence.settled - 1
    stopped = sequence.early_stop and sequence.settled > 0 and sequence.canvas[last] in sequence.end_ids
    return stopped or sequence.block_end == sequence.length
