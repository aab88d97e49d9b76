"""One row's canvases in a forward, as a policy class that combines those of all its rows sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_runtime.decoding.parts import Planner
from llada_runtime.decoding.plan import Plan
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Canvases", "combined_by_all", "combined_by_each"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Canvases:
    """What a policy's ``plan`` has run for its sequence: the canvas itself, then the plan's further ones.

    Attributes:
        policy: the sequence's, or the one inside of those `Around` it whose class combines.
        sequence: whose canvases they are.
        plan: the forward that they have run in.
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


def combined_by_all(
    combine_all: Callable[[list[Canvases], Tensor], Tensor],
    policy: Planner[Sequence],
    sequence: Sequence,
    plan: Plan,
    logits: Tensor,
) -> Tensor:
    """What ``combine`` returns, by the ``combine_all`` of its class."""
    row = Canvases(policy=policy, sequence=sequence, plan=plan, width=logits.shape[1])
    return combine_all([row], logits.flatten(0, 1))


def combined_by_each(
    combine_of: Callable[[Planner[Sequence]], Callable[[Sequence, Plan, Tensor], Tensor]],
    rows: list[Canvases],
    logits: Tensor,
) -> Tensor:
    """What ``combine_all`` returns, by the ``combine`` of each row's policy, which may change what it is
    given, and may return one tensor for all of them."""
    parts = zip(rows, logits.split_with_sizes([row.columns for row in rows]), strict=True)
    made = (
        combine_of(row.policy)(row.sequence, row.plan, part.clone().view(row.count, row.width, -1))
        for row, part in parts
    )
    return torch.cat([own.clone() for own in made] if len(rows) > 1 else [*made])
