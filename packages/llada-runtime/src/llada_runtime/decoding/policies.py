"""Cache policies: which columns the next forward of a sequence covers, and how it uses the cache.

A policy is a pure function of the sequence. Those here are Fast-dLLM's (arXiv 2505.22618): the cache is
rebuilt by one full forward at the start of every block, and that forward commits tokens like any other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from llada_runtime.decoding.sequence import Sequence

if TYPE_CHECKING:
    from llada_runtime.network.protocol import Network

__all__ = ["DualCache", "NoCache", "Plan", "Policy", "PrefixCache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Columns ``[lo, hi)`` of the next forward, and what it does with the sequence's cached keys and values.

    With ``reads``, all other columns' keys come from the cache; without, the forward covers the whole
    canvas. With ``writes``, the keys of ``[lo, hi)`` stay in the cache. A call that reads also writes: the
    columns it computes are recomputed by the next such call, so keeping them is free. With ``whole``, logits
    of all its columns are computed, for `Policy.after`, and not only those that decide.

    Attributes:
        end: the canvas ends here for this forward: what is behind is neither computed nor attended to.
            None is the whole canvas.
        causal: a column attends to itself and those before it, instead of to all.
        targets: columns ``[lo, hi)`` in which masks may be filled; None is the current block. An empty range
            is a forward that decides nothing.
        shift: how many columns before a target its logits are: 1 where the network predicts the next token.
    """

    lo: int
    hi: int
    reads: bool = False
    writes: bool = False
    whole: bool = False
    end: int | None = None
    causal: bool = False
    targets: tuple[int, int] | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        assert self.writes or not self.reads


class Policy(ABC):
    """What an algorithm supplies to plan forwards. One object may serve many sequences: it holds parameters,
    and what changes during generation is in the sequence, in ``policy_state`` if nowhere else.
    """

    @property
    @abstractmethod
    def caches(self) -> bool:
        """Whether its plans ever read or write the cache."""

    @abstractmethod
    def plan(self, sequence: Sequence) -> Plan:
        """The next forward of ``sequence``, which is not finished. Changes nothing."""

    def begin(self) -> Any:
        """What a new sequence starts with as its ``policy_state``."""
        return None

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor | None:
        """Embeddings ``[hi - lo, d]`` to feed instead of those of the canvas, or None."""
        return None

    def after(  # noqa: B027  # a hook, not abstract: most policies do nothing here
        self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network
    ) -> None:
        """Called when a forward's tokens stand on the canvas and before the sequence moves on.

        ``logits`` are raw: ``[hi - lo, V]`` if the plan asked for the whole, else those of its targets.
        """

    def stays(self, sequence: Sequence) -> bool:
        """Whether a further forward of this block is due even if no mask is left in it or an EOS ends it."""
        return False


def _refresh(sequence: Sequence) -> Plan:
    return Plan(lo=0, hi=sequence.length, writes=True)


class NoCache(Policy):
    """Every forward covers the whole canvas."""

    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length)


class PrefixCache(Policy):
    """Everything before the block is read from the cache; block and later blocks are computed each time."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.cached_block != sequence.block:
            return _refresh(sequence)
        return Plan(lo=sequence.block_start, hi=sequence.length, reads=True, writes=True)


class DualCache(Policy):
    """Only the block is computed; what is before and behind it is read from the cache."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.cached_block != sequence.block:
            return _refresh(sequence)
        return Plan(lo=sequence.block_start, hi=sequence.block_end, reads=True, writes=True)
