"""What is proposed for one row, as a rule class that scores the proposals of all its rows at once sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from llada_runtime.decoding.confidence import probability
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Proposed", "scored_by_all", "scored_by_each"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Proposed:
    """Proposals for the L targets of a sequence, which its rule may rank by a score of its own.

    Its tensors are read, not written: what is proposed is decided by them, and they are the same where the
    rule is asked again for the same forward, alone.

    Attributes:
        rule: which is asked: the sequence's, or one that this one asks in its place.
        sequence: for whose columns they are.
        logits: ``[L, V]`` that they were proposed from; the mask's is -inf.
        tokens: int64 ``[L]``, on the device of the logits.
        confidence: float64 ``[L]``, their `probability`, there too.
    """

    rule: Selector[Sequence]
    sequence: Sequence
    logits: Tensor
    tokens: Tensor
    confidence: Tensor


def scored_by_all(
    score_all: Callable[[list[Proposed]], list[Tensor | None]],
    rule: Selector[Sequence],
    sequence: Sequence,
    logits: Tensor,
    tokens: Tensor,
) -> Tensor | None:
    """What ``score`` returns, by what its class says of all rows."""
    sure = probability(logits, tokens)
    row = Proposed(rule=rule, sequence=sequence, logits=logits, tokens=tokens, confidence=sure)
    return score_all([row])[0]


def scored_by_each(
    score_of: Callable[[Selector[Sequence]], Callable[[Sequence, Tensor, Tensor], Tensor | None]],
    rows: list[Proposed],
) -> list[Tensor | None]:
    """What ``score_all`` returns, by what each row's rule says, which may be one tensor for all rows."""
    found = (score_of(row.rule)(row.sequence, row.logits, row.tokens) for row in rows)
    return [own.clone() if isinstance(own, Tensor) and len(rows) > 1 else own for own in found]
