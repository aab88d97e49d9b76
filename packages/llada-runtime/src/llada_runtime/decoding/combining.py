"""The logits that each row decides by: where it runs several canvases, what its policy makes of theirs.

A policy class that combines all of its rows sees them at once; any other policy is asked by itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.canvases import Canvases
from llada_runtime.decoding.combiners import combiner, combines_all
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.together import together
from llada_runtime.decoding.turn import Turn
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["hand_out"]


def hand_out(turns: list[Turn], packed: Tensor) -> dict[Sequence, Exception]:
    """Give each turn its logits of a forward's, ``[N, V]``, and return whose policy failed to combine them.

    Raises what says that memory ran out: with fewer rows there is more for each.
    """
    parts = packed.split_with_sizes([sum(span.head_width for span in turn.spans) for turn in turns])
    for turn, part in zip(turns, parts, strict=True):
        turn.take(part)
    faults: dict[Sequence, Exception] = {}
    combining = [turn for turn in turns if turn.combines]
    ask = partial(_combined, of=len(combining))
    for group in _groups(combining, faults):
        made = together(group, ask, passes=is_out_of_memory)
        for turn, own in zip(group, made, strict=True):
            if isinstance(own, Exception):
                faults[turn.sequence] = own
            else:
                turn.logits = own
    return faults


def _groups(turns: list[Turn], faults: dict[Sequence, Exception]) -> list[list[Turn]]:
    """The turns to be combined: together those of one class that combines all of its rows."""
    groups: dict[object, list[Turn]] = {}
    for turn in turns:
        try:
            policy = combiner(turn.sequence.policy)
            groups.setdefault(type(policy) if combines_all(policy) else turn.sequence, []).append(turn)
        except BaseException as exc:  # of a policy whose base raises, say
            faults[turn.sequence] = fault_of(exc)
    return [*groups.values()]


def _combined(turns: list[Turn], *, of: int) -> list[Tensor]:
    """What is made of the logits of each of the turns, asked at once; ``of`` so many turns that combine."""
    # A copy, which the policy may change: whoever is asked again sees the logits as they were.
    logits = torch.cat([turn.logits for turn in turns])  # [N, V]
    made = _made([_canvases_of(turn) for turn in turns], logits)
    # Another copy where somebody is asked after these, who may return the same tensor with other logits.
    made = made.to(logits.dtype, copy=len(turns) < of)
    return [*made.split_with_sizes([turn.head_width for turn in turns])]


def _canvases_of(turn: Turn) -> Canvases:
    sequence = turn.sequence
    return Canvases(
        policy=combiner(sequence.policy), sequence=sequence, plan=turn.plan, width=turn.head_width
    )


def _made(rows: list[Canvases], logits: Tensor) -> Tensor:
    """What is made of the rows' ``logits [N, V]``, known to be logits ``[sum of L, V]``.

    Raises ``ContractError``, and what the policy raises.
    """
    made: Any
    first, width = rows[0], sum(row.width for row in rows)
    kind, shape = type(first.policy), (width, logits.shape[-1])
    if isinstance(first.policy, Policy) and combines_all(first.policy):
        name, made = "combine_all", type(first.policy).combine_all(rows, logits)
    else:
        several = logits.view(first.count, first.width, -1)
        name, made = "combine", first.policy.combine(first.sequence, first.plan, several)
    fits = isinstance(made, Tensor) and (made.shape, made.device) == (shape, logits.device)
    if not fits or not made.is_floating_point():
        raise ContractError(
            f"{kind.__name__}.{name} returned {told(made)}; return logits {list(shape)} on {logits.device}"
        )
    assert isinstance(made, Tensor)
    return made
