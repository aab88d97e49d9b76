"""What a rule makes of tokens that stand: masks again, or other tokens."""

from __future__ import annotations

from operator import index
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.values import told
from llada_runtime.decoding.parts import Selector
from llada_runtime.decoding.proposals import probability
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Revision", "revision_of"]


class Revision(NamedTuple):
    """Columns whose token is taken back, ascending; those of them that get another, with it and how sure that
    is."""

    revoked: list[int]
    written: list[tuple[int, int, float]]


def revision_of(sequence: Sequence, targets: tuple[int, int], logits: Tensor) -> Revision:
    """What the sequence's rule says, by the ``logits [L, V]``, of what stands in the columns ``targets``.

    Raises ``ContractError`` where it names a column or a token that it may not, and what the rule raises.
    """
    rule, (lo, hi) = sequence.rule, targets
    revoked, replaced = _named(rule, rule.revoke(sequence, lo, logits), rule.replace(sequence, lo, logits))
    for column in sorted([*revoked, *replaced]):
        if not lo <= column < hi or not sequence.may_revoke(column) or {column} <= revoked & replaced.keys():
            raise ContractError(
                f"{type(rule).__name__} takes back column {column}; give columns from {lo} to {hi - 1} that "
                "hold a token which was generated, each once"
            )
    written = _written(sequence, lo, replaced, logits) if replaced else []
    return Revision(sorted(revoked | replaced.keys()), written)


def _named(rule: Selector[Sequence], revoked: Any, replaced: Any) -> tuple[set[int], dict[int, int]]:
    """What ``revoke`` and ``replace`` returned, as integers. Raises ``ContractError`` for anything else."""
    try:
        taken = {index(column) for column in revoked}
    except TypeError as exc:
        raise ContractError(
            f"{type(rule).__name__}.revoke returned {told(revoked)}; return columns as integers"
        ) from exc
    try:
        return taken, {index(column): index(token) for column, token in replaced.items()}
    except (AttributeError, TypeError) as exc:
        raise ContractError(
            f"{type(rule).__name__}.replace returned {told(replaced)}; return a dict of columns and tokens"
        ) from exc


def _written(
    sequence: Sequence, lo: int, replaced: dict[int, int], logits: Tensor
) -> list[tuple[int, int, float]]:
    """The columns with their new tokens, each with its probability. Raises ``ContractError`` for a token that
    cannot stand."""
    if not all(0 <= token < logits.shape[-1] and token != sequence.mask_id for token in replaced.values()):
        raise ContractError(
            f"{type(sequence.rule).__name__}.replace named {sorted(replaced.values())}; give ids of the "
            "vocabulary, and not the mask's"
        )
    rows = torch.tensor([column - lo for column in replaced], device=logits.device)
    tokens = torch.tensor(list(replaced.values()), device=logits.device)
    sure = probability(logits[rows], tokens).tolist()
    return list(zip(replaced, replaced.values(), sure, strict=True))
