"""Which proposals are kept: every rule class sees all of its rows at once, and answers for each of them."""

from __future__ import annotations

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_runtime.decoding.proposals import Proposals
from llada_runtime.decoding.sequence import Selector, Sequence

__all__ = ["kept_of"]


def kept_of(sequences: list[Sequence], proposals: Proposals) -> Tensor:
    """Which proposals to keep, bool ``[R, L]``.

    Rows that have failed keep nothing; rows whose rule fails here are added to the proposals' ``faults``.
    """
    kept = torch.zeros_like(proposals.open)
    sound = [row for row in range(len(sequences)) if row not in proposals.faults]
    for kind in dict.fromkeys(type(sequences[row].rule) for row in sound):
        rows = [row for row in sound if type(sequences[row].rule) is kind]
        _choose(kind, rows, sequences, proposals, kept)
    return kept


def _choose(
    kind: type[Selector], rows: list[int], sequences: list[Sequence], proposals: Proposals, kept: Tensor
) -> None:
    """Fill in the ``rows`` of ``kept``; where the class raises for several, ask it row by row for the
    culprit."""
    which = rows if len(rows) < len(sequences) else slice(None)  # all of them, mostly: nothing is copied
    scores, open_ = proposals.scores[which], proposals.open[which]
    try:
        chosen = kind.select([sequences[row] for row in rows], scores, open_)
        kept[which] = _checked(kind, chosen, open_) & open_
    except Exception as exc:  # a rule may raise anything; it is its row's fault
        if len(rows) == 1:
            proposals.faults[rows[0]] = exc
            return
        for row in rows:
            _choose(kind, [row], sequences, proposals, kept)


def _checked(kind: type[Selector], chosen: object, open_: Tensor) -> Tensor:
    if not isinstance(chosen, Tensor):
        told = type(chosen).__name__
    elif chosen.dtype != torch.bool or chosen.shape != open_.shape or chosen.device != open_.device:
        told = f"{chosen.dtype} {list(chosen.shape)} on {chosen.device}"
    else:
        return chosen
    raise ContractError(
        f"{kind.__name__} chose by a {told}; return a bool tensor {list(open_.shape)} on {open_.device}"
    )
