"""A second look at logits, once it is known what is kept of them: for rules that take tokens back, and where
somebody asks which tokens were likeliest."""

from __future__ import annotations

import torch
from torch import Tensor

from llada_core.faults import fault_of
from llada_runtime.decoding.confidence import probability
from llada_runtime.decoding.revising import Revision, revisions_of
from llada_runtime.decoding.standing import Standing
from llada_runtime.decoding.turn import Turn

__all__ = ["review"]


def review(turns: list[Turn], logits: tuple[Tensor, ...], faults: dict[int, Exception]) -> None:
    """Let the turns take tokens back, and tell of alternatives, by the ``logits [L, V]`` of each one's
    targets.

    Rows that have failed are left out. Those whose rule raises, or takes back what it may not, are added to
    the ``faults``.
    """
    revoking = [at for at, turn in enumerate(turns) if turn.sequence.revokes and at not in faults]
    if revoking:
        found = revisions_of([_standing(turns[at], logits[at]) for at in revoking])
        for at, revision in zip(revoking, found, strict=True):
            if isinstance(revision, Exception):
                faults[at] = revision
            else:
                _revise(turns[at], revision)
    for at, turn in enumerate(turns):
        if turn.sequence.alternatives and turn.columns and at not in faults:
            try:
                _compare(turn, logits[at])
            except BaseException as exc:  # as where memory runs out
                faults[at] = fault_of(exc)


def _standing(turn: Turn, logits: Tensor) -> Standing:
    """What stands among the turn's targets, for its rule, which may ask what is chosen now."""
    sequence = turn.sequence
    sequence.chosen = list(turn.columns)
    if turn.plan.shadow:
        logits = turn.shadow
        logits[:, sequence.mask_id] = -torch.inf
    return Standing(rule=sequence.rule, sequence=sequence, start=turn.targets[0], logits=logits)


def _revise(turn: Turn, revision: Revision) -> None:
    turn.revoked = revision.revoked
    if revision.written:
        written = [*zip(turn.columns, turn.tokens, turn.confidence, strict=True), *revision.written]
        columns, ids, confidence = zip(*sorted(written), strict=True)
        turn.columns, turn.tokens, turn.confidence = list(columns), list(ids), list(confidence)


def _compare(turn: Turn, logits: Tensor) -> None:
    """Let the turn tell the likeliest tokens of its columns; the mask is none of them."""
    rows = torch.tensor([column - turn.targets[0] for column in turn.columns], device=logits.device)
    there = logits[rows]
    count = min(turn.sequence.alternatives, there.shape[-1] - 1)
    tokens = there.topk(count).indices  # [columns, count]
    sure = torch.stack([probability(there, rank) for rank in tokens.unbind(-1)], dim=-1)
    pairs = zip(tokens.tolist(), sure.tolist(), strict=True)
    turn.alternatives = [tuple(zip(*pair, strict=True)) for pair in pairs]
