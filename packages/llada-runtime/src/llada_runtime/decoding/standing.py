"""What stands in one row, as a rule class that judges that of all its rows at once sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Standing", "judged_by_all", "judged_by_each"]

_Judged = TypeVar("_Judged")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Standing:
    """A sequence whose rule may take tokens back, and what it judges them by.

    Its logits are read, not written: they are the same where the rule is asked again for the same forward,
    alone.

    Attributes:
        rule: which is asked: the sequence's, or one that this one asks in its place.
        sequence: whose tokens they are.
        start: the column of the first of the ``logits``.
        logits: ``[L, V]`` of the targets, of the plan's shadow where it has one; the mask's is -inf.
    """

    rule: Selector[Sequence]
    sequence: Sequence
    start: int
    logits: Tensor


def judged_by_all(
    judge_all: Callable[[list[Standing]], list[_Judged]],
    rule: Selector[Sequence],
    sequence: Sequence,
    start: int,
    logits: Tensor,
) -> _Judged:
    """What ``revoke`` or ``replace`` returns, by what its class says of all rows."""
    return judge_all([Standing(rule=rule, sequence=sequence, start=start, logits=logits)])[0]


def judged_by_each(
    judge_of: Callable[[Selector[Sequence]], Callable[[Sequence, int, Tensor], _Judged]],
    rows: list[Standing],
) -> list[_Judged]:
    """What ``revoke_all`` or ``replace_all`` returns, by what each row's rule says, which may be one object
    for all rows."""
    return [_copied(judge_of(row.rule)(row.sequence, row.start, row.logits)) for row in rows]


def _copied(judged: Any) -> Any:
    """The columns, or these with their tokens, read before another row is asked."""
    if isinstance(judged, Mapping):
        return dict(judged)
    return list(judged) if isinstance(judged, Iterable) else judged
