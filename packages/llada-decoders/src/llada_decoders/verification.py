"""Drafts of a block, and which of them the network's own logits bear out: functions of ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from llada_runtime import probability

__all__ = ["Adopted", "Guess", "Predictions", "adopted", "drafts", "guesses", "predictions"]

_ROWS = 1024  # columns of which a copy of the logits exists at a time


class Guess(NamedTuple):
    """A token that the network proposes for a mask, and how sure it is."""

    confidence: float
    column: int
    token: int


class Predictions(NamedTuple):
    """What logits propose for each of some columns: a token, and how sure they are of it."""

    tokens: list[int]
    confidence: list[float]

    def of(self, places: Iterable[int]) -> Predictions:
        """What is proposed at these ``places``, in their order."""
        there = list(places)
        return Predictions([self.tokens[at] for at in there], [self.confidence[at] for at in there])


class Adopted(NamedTuple):
    """The draft that stands.

    Attributes:
        filled: the offsets of the block that it has filled.
        sources: of each of the ``L`` offsets, in which state's logits its token was proposed, or the rest now
            are.
    """

    filled: frozenset[int]
    sources: list[int]


def predictions(logits: Tensor, mask: int) -> Predictions:
    """The likeliest token of each column of ``logits [N, V]`` and its probability; the mask is not proposed.

    However many columns there are, the device is waited for once.
    """
    parts = [_likeliest(part.clone(), mask) for part in logits.split(_ROWS)]
    tokens, confidence = torch.cat(parts, dim=-1).tolist()
    return Predictions([int(token) for token in tokens], confidence)


def _likeliest(logits: Tensor, mask: int) -> Tensor:
    """Tokens, as numbers, and their probability, float64 ``[2, N]``; the ``logits [N, V]`` are changed."""
    logits[:, mask] = -torch.inf
    tokens = logits.argmax(-1)
    return torch.stack((tokens.double(), probability(logits, tokens)))


def guesses(found: Predictions, start: int, columns: list[int]) -> list[Guess]:
    """What is ``found`` for the columns from ``start`` proposes for ``columns``, the surest first, of equally
    sure ones the leftmost."""
    tokens, confidence = found.of(column - start for column in columns)
    made = map(Guess, confidence, columns, tokens)
    return sorted(made, key=lambda guess: (-guess.confidence, guess.column))


def drafts(ids: Sequence[int], lo: int, guessed: Iterable[Guess]) -> tuple[tuple[int, ...], ...]:
    """The ``ids`` of the columns from ``lo``, with one, two, … of the guesses, as many as there are."""

    def filled(state: tuple[int, ...], guess: Guess) -> tuple[int, ...]:
        at = guess.column - lo
        return (*state[:at], guess.token, *state[at + 1 :])

    return tuple(accumulate(guessed, filled, initial=tuple(ids)))[1:]


def adopted(
    states: list[Sequence[int]], found: Predictions, *, mask: int, threshold: float | None
) -> Adopted:
    """Which of the ``states`` of a block stands, each ``L`` ids, by what is ``found`` for the columns of the
    first, then of the next. The first state always stands.
    """
    width = len(states[0])
    last, sources, filled = 0, [0] * width, set[int]()
    while True:
        there = found.of(range(last * width, (last + 1) * width))
        wanted = _target(states[last], there, mask=mask, threshold=threshold)
        right = [j for j in range(last + 1, len(states)) if _agrees(states[j], wanted, mask)]
        if not right:
            break
        before, last = states[last], right[-1]
        fresh = [at for at in range(width) if before[at] == mask != states[last][at]]
        filled.update(fresh)
        sources = [last if states[last][at] == mask else source for at, source in enumerate(sources)]
    return Adopted(frozenset(filled), sources)


def _target(state: Sequence[int], found: Predictions, *, mask: int, threshold: float | None) -> list[int]:
    """What ``state`` becomes: with the masks filled that have the threshold, and in any case the surest."""
    tokens, confidence = found
    open_ = [at for at, token in enumerate(state) if token == mask]
    best = max(open_, key=lambda at: (confidence[at], -at), default=None)
    wanted = list(state)
    for at in open_:
        if at == best or (threshold is not None and confidence[at] >= threshold):
            wanted[at] = tokens[at]
    return wanted


def _agrees(state: Sequence[int], wanted: list[int], mask: int) -> bool:
    return all(token in (mask, other) for token, other in zip(state, wanted, strict=True))
