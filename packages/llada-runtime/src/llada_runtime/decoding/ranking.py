"""What the rules rank proposals by: how sure the network is of them, a score of the rule's own, or chance.

Own scores and chance are made where the logits are, row by row, and read for all rows at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.sequence import Sequence

__all__ = ["scores_of"]


def scores_of(
    confidence: Tensor,
    sequences: list[Sequence],
    open_: Tensor,
    logits: tuple[Tensor, ...],
    tokens: tuple[Tensor, ...],
    faults: dict[int, Exception],
) -> Tensor:
    """What each row's rule ranks by, float64 ``[R, L]`` on the CPU, -inf where not open.

    Of each row there are the ``logits [L, V]`` and the proposed ``tokens [L]``. However many rows have scores
    of their own, the device is waited for once. Rows that have none that can be compared are added to the
    ``faults``.
    """
    scores, own = confidence.clone(), dict[int, Tensor]()
    for row, sequence in enumerate(sequences):
        if row in faults:
            continue
        found: Tensor | None
        try:
            if sequence.random_order:
                found = _chance(int(open_[row].sum()), sequence, logits[row].device)
            else:
                found = _own(sequence, logits[row], tokens[row])
            if found is not None:
                own[row] = found
        except BaseException as exc:  # a rule may raise anything; it is its row's fault
            faults[row] = fault_of(exc)
    if own:
        there = torch.cat([*own.values()]).cpu().split([len(found) for found in own.values()])
        for row, found in zip(own, there, strict=True):
            where = open_[row] if sequences[row].random_order else slice(len(found))
            scores[row, where] = found
        _blame_nan(scores, sequences, own, faults)
    return scores.masked_fill(~open_, -torch.inf)


def _own(sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
    """What its rule says of the ``tokens [L]``, float64 on the device; None is their probability."""
    own = sequence.rule.score(sequence, logits, tokens)
    if own is None:
        return None
    # A copy, as it is read once all rules have been asked, and they may use one tensor for all rows.
    return _checked(sequence.rule, own, tokens).to(logits.device, torch.float64, copy=True)


def _checked(rule: Selector[Sequence], own: Any, tokens: Tensor) -> Tensor:
    """What ``score`` returned, known to be a number for each of the ``tokens [L]``. Raises
    ``ContractError``."""
    if (
        not isinstance(own, Tensor)
        or own.shape != tokens.shape
        or own.layout != torch.strided
        or own.dtype == torch.bool
        or own.is_complex()
    ):
        raise ContractError(
            f"{type(rule).__name__}.score returned {told(own)}; return floats {list(tokens.shape)}, or None"
        )
    return own


def _blame_nan(
    scores: Tensor, sequences: list[Sequence], own: dict[int, Tensor], faults: dict[int, Exception]
) -> None:
    """Add to ``faults`` the rows whose ``own`` scores hold a NaN."""
    isnan = scores.isnan().any(-1).tolist()
    for row in own:
        if isnan[row]:
            kind = type(sequences[row].rule).__name__
            faults[row] = ContractError(f"{kind}.score returned NaN; return numbers that can be compared")


def _chance(count: int, sequence: Sequence, device: torch.device) -> Tensor:
    generator = sequence.generator(device)
    return torch.rand(count, dtype=torch.float64, device=device, generator=generator)
