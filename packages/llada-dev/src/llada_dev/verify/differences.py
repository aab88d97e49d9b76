"""How answers compare: where they first part, and how much of them is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

__all__ = ["Difference", "Tokens", "agreement", "first_difference"]

Tokens = Sequence["int | None"]
"""Ids of an answer, None where a mask is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first position at which two answers part.

    ``prompt`` is the number of the prompt and ``position`` that in the answer, both from 0. ``found`` and
    ``expected`` are ids; None stands for a mask, or for the end of an answer that is shorter.
    """

    prompt: int
    position: int
    found: int | None
    expected: int | None

    def __str__(self) -> str:
        found, expected = ("nothing" if each is None else each for each in (self.found, self.expected))
        return f"prompt {self.prompt}, position {self.position}: {found} where {expected} is expected"


def first_difference(found: Sequence[Tokens], expected: Sequence[Tokens]) -> Difference | None:
    """Where the first of the answers that differ does; None where all are the same."""
    for prompt, (one, other) in enumerate(zip(found, expected, strict=True)):
        for position, (mine, theirs) in enumerate(zip_longest(one, other)):
            if mine != theirs:
                return Difference(prompt=prompt, position=position, found=mine, expected=theirs)
        if len(one) != len(other):  # the longer ends in masks
            short = min(len(one), len(other))
            return Difference(prompt=prompt, position=short, found=None, expected=None)
    return None


def agreement(found: Sequence[Tokens], expected: Sequence[Tokens]) -> float:
    """The share of positions, of all answers together, that hold the same token; 1.0 where there is none."""
    pairs = [
        pair
        for one, other in zip(found, expected, strict=True)
        for pair in zip_longest(one, other, fillvalue=-1)
    ]
    return sum(mine == theirs for mine, theirs in pairs) / len(pairs) if pairs else 1.0
