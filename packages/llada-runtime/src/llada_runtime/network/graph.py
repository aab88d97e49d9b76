"""One captured forward: what it reads is copied into tensors of its own, and what it leaves is copied out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from llada_runtime.network.capture import Work
from llada_runtime.network.layout import Layout

__all__ = ["Graph"]


@dataclass(slots=True, eq=False, kw_only=True)
class Graph:
    """A captured forward.

    Attributes:
        layout: the one that it reads; its tensors are the graph's own.
        reads: those of them that other layouts of its key differ in.
        held: what was copied into each of ``reads`` last. It is held, so that "the same tensor" means so.
        replay: runs it.
        outcome: the one tensor where it leaves logits ``[H, V]``, which other graphs write to too, or what
            these are reduced to.
    """

    layout: Layout
    reads: tuple[Tensor, ...]
    held: tuple[Tensor, ...]
    replay: Work
    outcome: list[Tensor]

    def __call__(self, layout: Layout) -> Tensor:
        """The outcome of ``layout``, which the caller may keep."""
        self.take(layout)
        self.replay()
        return self.outcome[0].clone()

    def take(self, layout: Layout) -> None:
        """Have in its own tensors what ``layout`` says."""
        given = layout.indices
        for mine, before, new in zip(self.reads, self.held, given, strict=True):
            if new is not before:  # within a block only the tokens are new
                mine.copy_(new)
        self.held = given
