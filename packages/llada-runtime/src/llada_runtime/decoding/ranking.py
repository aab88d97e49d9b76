"""What the rules rank proposals by: how sure the network is of them, a score of the rule's own, or chance.

Own scores and chance are made where the logits are, and read for all rows at once. A rule class that scores
the proposals of all its rows sees them at once; any other rule is asked by itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.asking import answers_of, name_of, read_of, speaking
from llada_runtime.decoding.proposed import Proposed
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.decoding.together import together

__all__ = ["scores_of", "scoring"]

_Faults = dict[int, Exception]


def scoring(sequences: list[Sequence], faults: _Faults) -> list[int]:
    """The rows whose rule is asked for a score: of those that have not failed, which are not in random order,
    and whose rule does not leave that to `Rule`."""
    speaks = speaking((sequence.rule for sequence in sequences), "score")
    return [
        at
        for at, sequence in enumerate(sequences)
        if speaks[at] and at not in faults and not sequence.random_order
    ]


def scores_of(
    sequences: list[Sequence],
    rows: dict[int, Proposed],
    device: torch.device,
    confidence: Tensor,
    open_: Tensor,
    faults: _Faults,
) -> Tensor:
    """What each row's rule ranks by, float64 ``[R, L]`` on the CPU, -inf where not open.

    The ``rows`` are what is proposed for those that are `scoring`, on the network's ``device``. The
    ``confidence [R, L]`` is that of all proposals, on the CPU, and ``open_ [R, L]`` tells which are of masks.
    However many rows have scores of their own, the device is waited for once. Rows that have none that can
    be compared are added to the ``faults``.
    """
    random = {at: each for at, each in enumerate(sequences) if each.random_order and at not in faults}
    scores = confidence.clone()
    own, drawn = _own(rows, faults), _chances(random, device, open_, faults)
    if own or drawn:
        _place(scores, own, drawn, open_, faults)
        _blame_incomparable(scores, rows, own, faults)
    return scores.masked_fill_(~open_, -torch.inf)


def _place(
    scores: Tensor, own: dict[int, Tensor], drawn: dict[int, Tensor], open_: Tensor, faults: _Faults
) -> None:
    """Write each row's ``own`` scores in its columns, and what is ``drawn`` in its open ones. The device is
    waited for once."""
    found = {**own, **drawn}
    rows = sorted(found)

    def place(part: list[int]) -> list[Exception | None]:
        widths = torch.tensor([[len(own[at]) if at in own else 0] for at in part])
        places = torch.arange(scores.shape[-1]) < widths
        chance = [at for at, row in enumerate(part) if row in drawn]
        if chance:
            places[chance] = open_[[part[at] for at in chance]]
        there = torch.cat([found[at] for at in part])
        which = part if len(part) < len(scores) else slice(None)  # all of them, mostly
        scores[which] = scores[which].masked_scatter(places, there.cpu())
        return [None] * len(part)

    for row, fault in zip(rows, together(rows, place), strict=True):
        if fault is not None:
            faults[row] = fault


def _own(rows: dict[int, Proposed], faults: _Faults) -> dict[int, Tensor]:
    """What rules say of the tokens of their rows, float64 ``[L]`` on the device, where that is not their
    probability."""

    def one(row: Proposed) -> Any:
        return row.rule.score(row.sequence, row.logits, row.tokens)

    found = answers_of(rows, "score", one, _read, faults) if rows else {}
    return {at: own for at, own in found.items() if own is not None}


def _read(rows: list[Proposed], answers: list[Any]) -> list[Tensor | Exception | None]:
    """Copies of what rules said, as they may use one tensor for all rows, or what is wrong with each."""
    device = rows[0].logits.device
    found = read_of(rows, answers, _checked)
    scored = {at: own for at, own in enumerate(found) if isinstance(own, Tensor)}
    copied = together([*scored.values()], lambda part: _copied(part, device))
    for at, own in zip(scored, copied, strict=True):
        found[at] = own
    return found


def _copied(scores: list[Tensor], device: torch.device) -> list[Tensor]:
    """The ``scores [L]``, float64 on the device. Raises ``TypeError`` for tensors of several classes."""
    if len({type(own) for own in scores}) > 1:
        raise TypeError("tensors of several classes, of which all would become one of them")
    parts = [
        own if (own.dtype, own.device) == (torch.float64, device) else own.to(device, torch.float64)
        for own in scores
    ]
    return [*torch.cat(parts).split_with_sizes([len(own) for own in scores])]


def _checked(row: Proposed, own: Any) -> Tensor | None:
    """What a row's tokens are ranked by, known to be a number for each of them. Raises ``ContractError``."""
    if own is None:
        return None
    if (
        not isinstance(own, Tensor)
        or own.is_nested
        or own.shape != row.tokens.shape
        or own.layout != torch.strided
        or own.dtype == torch.bool
        or own.is_complex()
    ):
        name = name_of(row.rule, "score")
        of = "of each row " if name.endswith("_all") else ""
        raise ContractError(
            f"{name} returned {told(own)}; {of}return floats {list(row.tokens.shape)}, or None"
        )
    assert isinstance(own, Tensor)
    return own


def _blame_incomparable(
    scores: Tensor, rows: dict[int, Proposed], own: dict[int, Tensor], faults: _Faults
) -> None:
    """Add to ``faults`` the rows whose ``own`` scores hold a NaN."""
    isnan = scores.isnan().any(-1).tolist()
    for at in own:
        if isnan[at] and at not in faults:
            name = name_of(rows[at].rule, "score")
            faults[at] = ContractError(f"{name} returned NaN; return numbers that can be compared")


def _chances(
    rows: dict[int, Sequence], device: torch.device, open_: Tensor, faults: _Faults
) -> dict[int, Tensor]:
    """A draw for each open column of the rows, float64 on the ``device``."""
    drawn: dict[int, Tensor] = {}
    counts = open_.sum(-1).tolist() if rows else []
    for at, sequence in rows.items():
        try:
            source = sequence.generator(device)
            drawn[at] = torch.rand(counts[at], dtype=torch.float64, device=device, generator=source)
        except BaseException as exc:  # as for a seed that no generator takes
            faults[at] = fault_of(exc)
    return drawn
