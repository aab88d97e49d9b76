"""Which proposals are kept: every rule class sees all of its rows at once, and answers for each of them."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.proposals import Proposals
from llada_runtime.decoding.sequence import Sequence

__all__ = ["kept_of"]

_CLASSMETHODS = {
    "select": "sequences, scores, open_",
    "choose": "parameters, scores, open_",
    "parameters": "sequences",
    "counts": "parameters, ranked, open_counts",
}


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
    kind: type[Selector[Sequence]],
    rows: list[int],
    sequences: list[Sequence],
    proposals: Proposals,
    kept: Tensor,
) -> None:
    """Fill in the ``rows`` of ``kept``; where the class raises for several, ask it row by row for the
    culprit."""
    which = rows if len(rows) < len(sequences) else slice(None)  # all of them, mostly
    scores, open_ = proposals.scores[which], proposals.open[which]
    try:
        # Copies: what a class does to them is nothing to the rows of others.
        chosen = kind.select([sequences[row] for row in rows], scores.clone(), open_.clone())
        kept[which] = _checked(kind, chosen, open_) & open_
    except BaseException as exc:  # a rule may raise anything; it is its row's fault
        fault = fault_of(exc)
        if len(rows) == 1:
            proposals.faults[rows[0]] = _explained(kind, fault)
            return
        for row in rows:
            _choose(kind, [row], sequences, proposals, kept)


def _checked(kind: type[Selector[Sequence]], chosen: Any, open_: Tensor) -> Tensor:
    fits = isinstance(chosen, Tensor) and (chosen.shape, chosen.device) == (open_.shape, open_.device)
    if not fits or chosen.dtype != torch.bool:
        raise ContractError(
            f"{kind.__name__} chose by {told(chosen)}; "
            f"return a bool tensor {list(open_.shape)} on {open_.device}"
        )
    return chosen


def _explained(kind: type[Selector[Sequence]], exc: Exception) -> Exception:
    """What a class raised, or, where it is not written as it must be, how to write it."""
    for name, arguments in _CLASSMETHODS.items():
        method = inspect.getattr_static(kind, name, None)
        if method is None:
            continue
        written = f"@classmethod def {name}(cls, {arguments})"
        if not isinstance(method, classmethod | staticmethod):
            problem = f"{kind.__name__}.{name} is a method of objects, and one class sees all rows"
        elif "sequences" in inspect.signature(method.__func__).parameters and "sequences" not in arguments:
            problem = f"{kind.__name__}.{name} takes the sequences, as in llada-runtime 0.1"
            written += ", and let parameters(cls, sequences) return what it needs of them"
        else:
            continue
        told = ContractError(f"{problem}; write {written}")
        told.__cause__ = exc
        return told
    return exc
