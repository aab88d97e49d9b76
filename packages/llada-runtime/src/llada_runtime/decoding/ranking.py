"""What the rules rank proposals by: how sure the network is of them, a score of the rule's own, or chance.

Own scores and chance are made where the logits are, and read for all rows at once. A rule class that scores
the proposals of all its rows sees them at once; any other rule is asked by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.values import told
from llada_runtime.decoding.asking import answers_of, name_of
from llada_runtime.decoding.proposed import Proposed

__all__ = ["scores_of"]

_Faults = dict[int, Exception]


def scores_of(rows: list[Proposed], confidence: Tensor, open_: Tensor, faults: _Faults) -> Tensor:
    """What each row's rule ranks by, float64 ``[R, L]`` on the CPU, -inf where not open.

    ``confidence [R, L]`` is that of the rows' proposals, on the CPU, and ``open_ [R, L]`` tells which are of
    masks. However many rows have scores of their own, the device is waited for once. Rows that have none that
    can be compared are added to the ``faults``.
    """
    sound = {at: row for at, row in enumerate(rows) if at not in faults}
    random = {at: row for at, row in sound.items() if row.sequence.random_order}
    own = _own({at: row for at, row in sound.items() if at not in random}, faults)
    drawn = _chances(random, open_, faults)
    scores = confidence.clone()
    if own or drawn:
        _place(scores, own, drawn, open_)
        _blame_nan(scores, rows, own, faults)
    return scores.masked_fill(~open_, -torch.inf)


def _place(scores: Tensor, own: dict[int, Tensor], drawn: dict[int, Tensor], open_: Tensor) -> None:
    """Write each row's ``own`` scores in its columns, and what is ``drawn`` in its open ones. The device is
    waited for once."""
    widths = torch.tensor([[len(own[at]) if at in own else 0] for at in range(len(scores))])
    places = torch.arange(scores.shape[-1]) < widths
    if drawn:
        places[[*drawn]] = open_[[*drawn]]
    found = {**own, **drawn}
    there = torch.cat([found[at] for at in sorted(found)])
    scores.masked_scatter_(places, there.cpu())


def _own(rows: dict[int, Proposed], faults: _Faults) -> dict[int, Tensor]:
    """What rules say of the tokens of their rows, float64 ``[L]`` on the device, where that is not their
    probability."""

    def one(row: Proposed) -> Any:
        return row.rule.score(row.sequence, row.logits, row.tokens)

    found = answers_of(rows, "score", one, _read, faults)
    return {at: own for at, own in found.items() if own is not None}


def _read(rows: list[Proposed], answers: list[Any]) -> list[Tensor | Exception | None]:
    """Copies of what rules said, as they may use one tensor for all rows, or what is wrong with each."""
    read = [_checked(row, answer) for row, answer in zip(rows, answers, strict=True)]
    scored = {at: own for at, own in enumerate(read) if isinstance(own, Tensor)}
    if not scored:
        return read
    copied: Iterable[Tensor | Exception]
    try:
        copied = _copied([*scored.values()], rows[0].logits.device)
    except BaseException as exc:  # as where memory runs out
        copied = repeat(fault_of(exc), len(scored))
    for at, own in zip(scored, copied, strict=True):
        read[at] = own
    return read


def _copied(scores: list[Tensor], device: torch.device) -> tuple[Tensor, ...]:
    """The ``scores [L]``, float64 on the device."""
    parts = [
        own if (own.dtype, own.device) == (torch.float64, device) else own.to(device, torch.float64)
        for own in scores
    ]
    return torch.cat(parts).split_with_sizes([len(own) for own in scores])


def _checked(row: Proposed, own: Any) -> Tensor | ContractError | None:
    """What a row's tokens are ranked by, known to be a number for each of them, or what is wrong with it."""
    if own is None:
        return None
    if (
        not isinstance(own, Tensor)
        or own.shape != row.tokens.shape
        or own.layout != torch.strided
        or own.dtype == torch.bool
        or own.is_complex()
    ):
        name = name_of(row.rule, "score")
        of = "of each row " if name.endswith("_all") else ""
        return ContractError(
            f"{name} returned {told(own)}; {of}return floats {list(row.tokens.shape)}, or None"
        )
    return own


def _blame_nan(scores: Tensor, rows: list[Proposed], own: dict[int, Tensor], faults: _Faults) -> None:
    """Add to ``faults`` the rows whose ``own`` scores hold a NaN."""
    isnan = scores.isnan().any(-1).tolist()
    for at in own:
        if isnan[at]:
            name = name_of(rows[at].rule, "score")
            faults[at] = ContractError(f"{name} returned NaN; return numbers that can be compared")


def _chances(rows: dict[int, Proposed], open_: Tensor, faults: _Faults) -> dict[int, Tensor]:
    """A draw for each open column of the rows, float64 on the device."""
    drawn: dict[int, Tensor] = {}
    counts = open_.sum(-1).tolist() if rows else []
    for at, row in rows.items():
        device = row.logits.device
        try:
            source = row.sequence.generator(device)
            drawn[at] = torch.rand(counts[at], dtype=torch.float64, device=device, generator=source)
        except BaseException as exc:  # as for a seed that no generator takes
            faults[at] = fault_of(exc)
    return drawn
