"""Drafts of a block, and which of them the network's own logits bear out: functions of ids and logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from llada_runtime import probability

__all__ = ["Adopted", "Guess", "adopted", "drafts", "guesses"]


class Guess(NamedTuple):
    """A token that the network proposes for a mask, and how sure it is."""

    confidence: float
    column: int
    token: int


class Adopted(NamedTuple):
    """The draft that stands: the ``filled`` offsets of the block, and the ``logits [L, V]`` by which each of
    its tokens was proposed, and the rest now are.
    """

    filled: frozenset[int]
    logits: Tensor


def guesses(logits: Tensor, start: int, columns: list[int], *, mask: int) -> list[Guess]:
    """What the ``logits [L, V]`` of the columns from ``start`` propose for ``columns``, the surest first, of
    equally sure ones the leftmost. The mask is not proposed."""
    if not columns:
        return []
    there = logits[[column - start for column in columns]]  # a copy
    tokens, confidence = _proposed(there, mask)
    found = map(Guess, confidence, columns, tokens)
    return sorted(found, key=lambda guess: (-guess.confidence, guess.column))


def drafts(ids: Sequence[int], lo: int, guessed: Iterable[Guess]) -> tuple[tuple[int, ...], ...]:
    """The ``ids`` of the columns from ``lo``, with one, two, … of the guesses, as many as there are."""

    def filled(state: tuple[int, ...], guess: Guess) -> tuple[int, ...]:
        at = guess.column - lo
        return (*state[:at], guess.token, *state[at + 1 :])

    return tuple(accumulate(guessed, filled, initial=tuple(ids)))[1:]


def adopted(states: list[Sequence[int]], logits: Tensor, *, mask: int, threshold: float | None) -> Adopted:
    """Which of the ``states`` of a block stands, each ``L`` ids, by what the logits of each, ``[K, L, V]``,
    make of it; these are changed. The first state always stands.
    """
    width = logits.shape[1]
    tokens, confidence = _proposed(logits.flatten(0, 1), mask)
    last, made, filled = 0, logits[0].clone(), set[int]()
    while True:
        part = slice(last * width, (last + 1) * width)
        wanted = _target(states[last], tokens[part], confidence[part], mask=mask, threshold=threshold)
        right = [j for j in range(last + 1, len(states)) if _agrees(states[j], wanted, mask)]
        if not right:
            break
        before, last = states[last], right[-1]
        fresh = [at for at in range(width) if before[at] == mask != states[last][at]]
        filled.update(fresh)
        open_ = [at for at in range(width) if states[last][at] == mask]
        made[open_] = logits[last, open_]
    return Adopted(frozenset(filled), made)


def _proposed(logits: Tensor, mask: int) -> tuple[list[int], list[float]]:
    """The likeliest token of each row of ``logits [N, V]`` and its probability, without the mask, whose
    logits are changed."""
    logits[:, mask] = -torch.inf
    tokens = logits.argmax(-1)
    found = torch.stack((tokens.double(), probability(logits, tokens))).tolist()
    return [int(token) for token in found[0]], found[1]


def _target(
    state: Sequence[int], tokens: list[int], confidence: list[float], *, mask: int, threshold: float | None
) -> list[int]:
    """What ``state`` becomes: with the masks filled that have the threshold, and in any case the surest."""
    open_ = [at for at, token in enumerate(state) if token == mask]
    best = max(open_, key=lambda at: (confidence[at], -at), default=None)
    wanted = list(state)
    for at in open_:
        if at == best or (threshold is not None and confidence[at] >= threshold):
            wanted[at] = tokens[at]
    return wanted


def _agrees(state: Sequence[int], wanted: list[int], mask: int) -> bool:
    return all(token in (mask, other) for token, other in zip(state, wanted, strict=True))
