"""How probable tokens were that have just been chosen, as logarithms: what training by reward needs.

Of a row that takes the likeliest tokens they follow from the confidence, so that nothing is computed for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_core.faults import fault_of
from llada_runtime.decoding.proposals import tempered
from llada_runtime.decoding.turn import Turn, by_logits

__all__ = ["trace"]

_ROWS = 64  # positions whose copies of the logits exist at a time


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A turn that has written, and the logits ``[L, V]`` that its tokens were proposed from."""

    turn: Turn
    logits: Tensor

    @property
    def offsets(self) -> list[int]:
        return [column - self.turn.targets[0] for column in self.turn.columns]

    def told(self, under: list[float], drawn: list[float]) -> None:
        """What was not drawn, as a token that a rule has named, was certain."""
        turn = self.turn
        drew = [turn.sequence.temperature > 0 and column not in turn.revoked for column in turn.columns]
        turn.log_probabilities = under
        turn.drawn_log_probabilities = [log if each else 0.0 for log, each in zip(drawn, drew, strict=True)]


def trace(turns: list[Turn], logits: tuple[Tensor, ...], faults: dict[int, Exception]) -> None:
    """Let the turns tell natural logarithms of the probabilities of what they write, where it is wanted:
    under the network, and as it was drawn.

    ``logits`` are each turn's ``[L, V]``, with what its rule made of them. However many turns there are, the
    device is waited for once. What goes wrong is added to the ``faults`` of its row.
    """
    asked = {
        row: _Row(turn, logits[row])
        for row, turn in enumerate(turns)
        if by_logits(turn.sequence) and turn.columns and row not in faults
    }
    try:
        if asked:
            _tell([*asked.values()])
    except BaseException as exc:  # as of filters that are an author's own
        _blame(asked, fault_of(exc), faults)


def _blame(asked: dict[int, _Row], fault: Exception, faults: dict[int, Exception]) -> None:
    """Look at each of several rows by itself, as together they raised ``fault``."""
    if len(asked) == 1:
        faults.update(dict.fromkeys(asked, fault))
        return
    for row, each in asked.items():
        try:
            _tell([each])
        except BaseException as exc:
            faults[row] = fault_of(exc)


def _tell(rows: list[_Row]) -> None:
    device = rows[0].logits.device
    offsets = [offset for row in rows for offset in row.offsets]
    tokens = [token for row in rows for token in row.turn.tokens]
    places = torch.tensor((offsets, tokens)).to(device, non_blocking=True)  # [2, N]
    parts = [_logarithms(group, places[:, lo:hi]) for lo, hi, group in _groups(rows)]
    under, drawn = torch.cat(parts, dim=-1).tolist()  # one copy from the card
    first = 0
    for row in rows:
        last = first + len(row.turn.tokens)
        row.told(under[first:last], drawn[first:last])
        first = last


def _groups(rows: list[_Row]) -> Iterator[tuple[int, int, list[tuple[_Row, int]]]]:
    """Tokens ``[lo, hi)`` of all, as many as may be looked at together, and whose they are, how many each."""
    lo = hi = 0
    group: list[tuple[_Row, int]] = []
    for row in rows:
        left = len(row.turn.tokens)
        while left:
            count = min(left, lo + _ROWS - hi)
            group.append((row, count))
            left, hi = left - count, hi + count
            if hi - lo == _ROWS:
                yield lo, hi, group
                lo, group = hi, []
    if group:
        yield lo, hi, group


def _logarithms(group: list[tuple[_Row, int]], places: Tensor) -> Tensor:
    """Of N tokens, float64 ``[2, N]``; ``places [2, N]`` are offsets in their rows' logits, and tokens."""
    (offsets, tokens), counts = places, [count for _, count in group]
    split = offsets.split(counts)
    plain = torch.cat([row.turn.deciding[part] for (row, _), part in zip(group, split, strict=True)]).float()
    plain[:, group[0][0].turn.sequence.mask_id] = -torch.inf
    under = _of(plain, tokens).double()
    if not any(row.turn.sequence.temperature for row, _ in group):
        return torch.stack((under, torch.zeros_like(under)))
    made = torch.cat([row.logits[part] for (row, _), part in zip(group, split, strict=True)])
    return torch.stack((under, _of(_warm(group, made), tokens)))


def _warm(group: list[tuple[_Row, int]], logits: Tensor) -> Tensor:
    """What each token was drawn from, float64 ``[N, V]``, of the group's ``logits [N, V]``; anything where
    it was not drawn."""
    sequences = [(row.turn.sequence, count) for row, count in group]
    heat = [each.temperature or 1.0 for each, count in sequences for _ in range(count)]
    warm = tempered(
        logits, torch.tensor(heat, dtype=torch.float64)[:, None].to(logits.device, non_blocking=True)
    )
    begin = 0
    for sequence, count in sequences:
        part = slice(begin, begin + count)
        if sequence.temperature and sequence.filters is not None:
            warm[part] = tempered(logits[part], sequence.temperature, sequence.filters)
        begin += count
    return warm


def _of(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-softmax of ``logits [N, V]`` at ``tokens [N]``."""
    return logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
