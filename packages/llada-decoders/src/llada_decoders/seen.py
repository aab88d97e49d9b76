"""What `klass` remembers of a sequence from forward to forward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from llada_runtime import Proposed, Sequence

__all__ = ["Seen"]


@dataclass(slots=True)
class Seen:
    """What the last forwards said of a sequence's columns.

    Attributes:
        start: first column of which the last forward is known.
        logits: ``[columns, V]`` of it; None before the first. They stay on the network's device.
        block: the block that the rest is of.
        forwards: how many have been noted of it.
        still: in how many of these, up to the last, each of its positions moved by less than the threshold;
            int64 ``[L]``.
        at, scores: the forward that was noted last, and what it was answered, float64 ``[L]``.
    """

    start: int = 0
    logits: Tensor | None = None
    block: int = -1
    forwards: int = 0
    still: Tensor | None = None
    at: int = -1
    scores: Tensor | None = None

    def before(self, row: Proposed) -> Tensor:
        """What is known of the first columns of the row's block, of L, ``[K, V]``."""
        known = row.logits[:0] if self.logits is None else self.logits
        first, width = row.sequence.block_start - self.start, len(row.logits)
        return known if first == 0 and len(known) <= width else known[first : first + width]

    def enter(self, sequence: Sequence) -> None:
        """Forget the forwards of another block than the current one."""
        if self.block != sequence.block:
            self.block, self.forwards, self.still = sequence.block, 0, None

    def note(self, row: Proposed, logits: Tensor, still: Tensor, scores: Tensor) -> None:
        """Keep what a forward has said of the row's block, how long that has been still, and its answer."""
        self.start, self.logits, self.still = row.sequence.block_start, logits, still
        self.at, self.scores = row.sequence.nfe, scores
        self.forwards += 1

    def answer(self) -> Tensor:
        """What the forward that was noted last was answered, float64 ``[L]``."""
        assert self.scores is not None, "a forward is noted before it is answered"
        return self.scores

    def see_behind(self, logits: Tensor, mask_id: int) -> None:
        """Keep the ``logits [columns, V]`` of what follows the columns that are known, too."""
        assert self.logits is not None, "LooksAhead has found out that a forward's block is noted"
        behind = logits.to(self.logits, copy=True)
        behind[:, mask_id] = -torch.inf
        self.logits = torch.cat((self.logits, behind))
