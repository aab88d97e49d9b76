"""How a turn tells what its policy has made of the answer: that it has grown, or has ended before a column.

What stands from there on is of the policy's making, and nobody asked the network: it is told as certain, with
no other token beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from llada_core.generation.moved import moved
from llada_runtime.decoding.turn import Turn, by_logits

__all__ = ["tell_end", "tell_growth"]

_Told = TypeVar("_Told")


def tell_growth(turn: Turn) -> None:
    """Let the turn tell of its columns as they are counted since `Sequence.insert` has put masks in."""
    inserted = turn.sequence.inserted
    turn.columns = [moved(column, inserted) for column in turn.columns]
    turn.revoked = [moved(column, inserted) for column in turn.revoked]


def tell_end(turn: Turn) -> None:
    """Let the turn tell of the columns that `Sequence.end_answer` has changed, as far as the answer goes.

    All of them are written; those that held a token before this forward are revoked too.
    """
    sequence, canvas = turn.sequence, turn.sequence.canvas
    was = {at: token for at, token in sequence.overwritten.items() if at < sequence.answer_end}
    stood = {at for at, token in was.items() if token != sequence.mask_id} - set(turn.columns)
    turn.revoked = sorted(stood.union(turn.revoked))
    own = [(column, place) for place, column in enumerate(turn.columns) if column not in was]
    places = sorted([*own, *((column, -1) for column in was)])  # -1: the policy's

    def told(values: list[_Told], certain: Callable[[int], _Told]) -> list[_Told]:
        return [certain(column) if place < 0 else values[place] for column, place in places]

    turn.tokens = told(turn.tokens, canvas.__getitem__)
    turn.confidence = told(turn.confidence, lambda column: 1.0)
    if sequence.alternatives:
        turn.alternatives = told(turn.alternatives, lambda column: ((canvas[column], 1.0),))
    if by_logits(sequence):
        turn.log_probabilities = told(turn.log_probabilities, lambda column: 0.0)
        turn.drawn_log_probabilities = told(turn.drawn_log_probabilities, lambda column: 0.0)
    turn.columns = [column for column, _ in places]
