"""Answers as the steps of their rows tell them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llada_core import Step
from llada_core.generation.steps import Row
from llada_runtime import Network, drain

__all__ = ["decoded", "of", "replayed"]


def decoded(network: Network, *rows: Row) -> list[Step]:
    """The steps of the rows, which are decoded together; none of them fails."""
    steps = list(drain(network, rows, rows=len(rows)))
    assert [step.error for step in steps if step.error] == []
    return steps


def of(row: Row, steps: Iterable[Step]) -> list[Step]:
    """Those of one row."""
    return [step for step in steps if step.ticket is row.ticket]


def replayed(steps: Iterable[Step], start: Sequence[Any], *, empty: Any, what: str = "tokens") -> list[Any]:
    """What the deltas of a row's steps make of ``start``, in which ``empty`` stands for a mask.

    A value is written where a mask is, and taken back where none is; what has settled neither changes nor
    moves, and holds no mask until the row ends. ``what`` names the values: the steps' tokens, or others.
    """
    answer, settled = list(start), 0
    for step in steps:
        kept = answer[:settled]
        for offset, count in step.inserted:
            answer[offset:offset] = [empty] * count
        assert step.gen_length is not None
        del answer[step.gen_length :]
        assert len(answer) == step.gen_length
        for position in step.revoked:
            assert answer[position] != empty
            answer[position] = empty
        for position, value in zip(step.positions, getattr(step, what), strict=True):
            assert answer[position] == empty
            answer[position] = value
        assert answer[:settled] == kept
        assert step.settled >= settled
        settled = step.settled
        assert step.finished or empty not in answer[:settled]
    assert settled == len(answer)
    return answer
