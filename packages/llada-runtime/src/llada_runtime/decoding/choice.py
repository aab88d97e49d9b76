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
from llada_runtime.decoding.together import together

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
        chosen = _choose(kind, rows, sequences, proposals, kept)
        for row, fault in zip(rows, chosen, strict=True):
            if fault is not None:
                proposals.faults[row] = _explained(kind, fault)
    return kept


def _choose(
    kind: type[Selector[Sequence]],
    rows: list[int],
    sequences: list[Sequence],
    proposals: Proposals,
    kept: Tensor,
) -> list[Exception | None]:
    """Fill in the ``rows`` of ``kept``; of each that it cannot be asked for, why."""

    def choose(part: list[int]) -> list[None]:
        which = part if len(part) < len(sequences) else slice(None)  # all of them, mostly
        scores, open_ = proposals.scores[which], proposals.open[which]
        # Copies: what a class does to them is nothing to the rows of others.
        chosen = kind.select([sequences[row] for row in part], scores.clone(), open_.clone())
        kept[which] = _checked(kind, chosen, open_) & open_
        return [None] * len(part)

    return together(rows, choose)


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
    try:
        problems = [_problem(kind, name, arguments) for name, arguments in _CLASSMETHODS.items()]
    except BaseException as failure:  # of what has no signature, say
        fault_of(failure)
        return exc
    for problem in filter(None, problems):
        explained = ContractError(problem)
        explained.__cause__ = exc
        return explained
    return exc


def _problem(kind: type[Selector[Sequence]], name: str, arguments: str) -> str | None:
    """How a class is to define ``name``, where it does not."""
    method = inspect.getattr_static(kind, name, None)
    if method is None:
        return None
    written = f"@classmethod def {name}(cls, {arguments})"
    if not isinstance(method, classmethod | staticmethod):
        return f"{kind.__name__}.{name} is a method of objects, and one class sees all rows; write {written}"
    if "sequences" in inspect.signature(method.__func__).parameters and "sequences" not in arguments:
        return (
            f"{kind.__name__}.{name} takes the sequences, as in llada-runtime 0.1; write {written}, and let "
            "parameters(cls, sequences) return what it needs of them"
        )
    return None
