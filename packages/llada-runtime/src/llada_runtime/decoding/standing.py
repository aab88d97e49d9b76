"""What stands in one row, as a rule class that judges that of all its rows at once sees it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Standing:
    """A sequence whose rule may take tokens back, and what it judges them by.

    Attributes:
        rule: the sequence's.
        start: the column of the first of the ``logits``.
        logits: ``[L, V]`` of the targets, of the plan's shadow where it has one; the mask's is -inf.
    """

    rule: Selector[Sequence]
    sequence: Sequence
    start: int
    logits: Tensor
