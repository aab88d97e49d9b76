"""One row's canvases in a forward, as a policy class that combines those of all its rows sees them."""

from __future__ import annotations

from dataclasses import dataclass

from llada_runtime.decoding.parts import Planner
from llada_runtime.decoding.plan import Plan
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Canvases"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Canvases:
    """What a policy's ``plan`` has run for its sequence: the canvas itself, then the plan's further ones.

    Attributes:
        policy: the sequence's, or the one inside of those `Around` it whose class combines.
        width: columns of each whose logits there are, L.
    """

    policy: Planner[Sequence]
    sequence: Sequence
    plan: Plan
    width: int

    @property
    def count(self) -> int:
        """How many there are, 1 + those of the plan."""
        return 1 + len(self.plan.canvases)

    @property
    def columns(self) -> int:
        """Rows of the logits that are theirs, ``count`` times ``width``."""
        return self.count * self.width
