"""Cache policies: which columns the next forward of a sequence covers, and how it uses the cache.

A policy is a pure function of the sequence. Those here are Fast-dLLM's (arXiv 2505.22618): the cache is
rebuilt by one full forward at the start of every block, and that forward commits tokens like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .sequence import Sequence

__all__ = ["DualCache", "NoCache", "Plan", "Policy", "PrefixCache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Columns ``[lo, hi)`` of the next forward, and what it does with the sequence's cached keys and values.

    With ``reads``, all other columns' keys come from the cache; without, the forward covers the whole
    canvas. With ``writes``, the keys of ``[lo, hi)`` stay in the cache. A call that reads also writes: the
    columns it computes are recomputed by the next such call, so keeping them is free.
    """

    lo: int
    hi: int
    reads: bool = False
    writes: bool = False

    def __post_init__(self) -> None:
        assert self.writes or not self.reads


class Policy(Protocol):
    """What an algorithm supplies to plan forwards. ``caches`` says whether it ever needs a cache slot."""

    @property
    def caches(self) -> bool: ...

    def plan(self, sequence: Sequence) -> Plan:
        """The next forward of ``sequence``, which is not finished."""
        ...


def _refresh(sequence: Sequence) -> Plan:
    return Plan(lo=0, hi=sequence.length, writes=True)


class NoCache:
    """Every forward covers the whole canvas."""

    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length)


class PrefixCache:
    """Everything before the block is read from the cache; block and later blocks are computed each time."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.cached_block != sequence.block:
            return _refresh(sequence)
        return Plan(lo=sequence.block_start, hi=sequence.length, reads=True, writes=True)


class DualCache:
    """Only the block is computed; what is before and behind it is read from the cache."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.cached_block != sequence.block:
            return _refresh(sequence)
        return Plan(lo=sequence.block_start, hi=sequence.block_end, reads=True, writes=True)
