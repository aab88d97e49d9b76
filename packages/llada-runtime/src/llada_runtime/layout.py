"""How the columns of several requests lie in one packed forward.

Requests are concatenated without padding: row ``r`` of the call brings columns ``[lo, hi)`` of its canvas,
and all linear layers see one ``[N, d]`` matrix, N being the sum of the widths. Only attention knows about
requests. It runs per *group* of requests of equal width; where their lengths differ, keys beyond a row's
own length are masked.
"""

from __future__ import annotations

from collections.abc import Sequence as Sequence_
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Group", "Layout", "Span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One request's part of a forward.

    Columns ``[lo, hi)`` of a canvas of ``length`` columns are computed; logits are wanted for ``[head_lo,
    head_hi)`` within them. ``slot`` is its place in the cache, None where nothing is kept; with ``reads``
    the keys and values of all other columns come from that slot.
    """

    ids: Sequence_[int]
    lo: int
    hi: int
    length: int
    head_lo: int
    head_hi: int
    slot: int | None = None
    reads: bool = False

    def __post_init__(self) -> None:
        assert len(self.ids) == self.hi - self.lo
        assert 0 <= self.lo <= self.head_lo < self.head_hi <= self.hi <= self.length
        assert self.reads or (self.lo, self.hi) == (0, self.length), "columns outside the call have no keys"
        assert not self.reads or self.slot is not None

    @property
    def width(self) -> int:
        return self.hi - self.lo


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Requests that attend in one call: ``rows`` times ``width`` packed columns from ``start``.

    ``slots`` names where their keys lie (``first`` to ``first + rows`` when they are neighbours), None
    meaning the call's own keys. ``keys`` is the longest row's length; ``mask`` is ``[rows, 1, 1, keys]``,
    True where a key belongs to the row, or None when all rows are that long.
    """

    start: int
    rows: int
    width: int
    keys: int
    slots: Tensor | None = None
    first: int | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The index tensors of one packed forward, all int64 on the network's device.

    ``ids`` and ``positions`` are ``[N]``; ``kept`` selects the packed columns that go into the cache and
    ``places`` says where (flat slot·length + column); ``head`` selects the columns whose logits are wanted,
    request by request, in the order in which the spans were given.
    """

    ids: Tensor
    positions: Tensor
    kept: Tensor | None
    places: Tensor | None
    head: Tensor
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, spans: Sequence_[Span], *, device: torch.device, cache_length: int, merge: bool) -> Layout:
        """The layout of ``spans``; with ``merge`` requests of one width attend together, else one by one.

        One by one, a request's arithmetic is exactly that of the request alone.
        """
        order = sorted(range(len(spans)), key=lambda r: _shape(spans[r])) if merge else range(len(spans))
        ordered = [spans[r] for r in order]
        starts = _starts(ordered)
        position_of = dict(zip(order, starts, strict=True))
        head = [
            position_of[r] + column - span.lo
            for r, span in enumerate(spans)
            for column in range(span.head_lo, span.head_hi)
        ]
        kept, places = _kept(ordered, starts, cache_length)
        whole = len(kept) == sum(span.width for span in ordered)

        def index(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=True)

        return cls(
            ids=index([token for span in ordered for token in span.ids]),
            positions=index([column for span in ordered for column in range(span.lo, span.hi)]),
            kept=None if whole or not kept else index(kept),
            places=index(places) if places else None,
            head=index(head),
            groups=tuple(_groups(ordered, starts, device=device, merge=merge)),
        )


def _shape(span: Span) -> tuple[bool, int, int, int]:
    """What spans of one group have in common; lengths only matter where a call has no cache to mask in."""
    return (span.reads, span.width, 0 if span.reads else span.length, span.slot or 0)


def _starts(spans: Sequence_[Span]) -> list[int]:
    starts, total = [], 0
    for span in spans:
        starts.append(total)
        total += span.width
    return starts


def _kept(spans: Sequence_[Span], starts: Sequence_[int], length: int) -> tuple[list[int], list[int]]:
    kept: list[int] = []
    places: list[int] = []
    for span, start in zip(spans, starts, strict=True):
        if span.slot is not None:
            kept.extend(range(start, start + span.width))
            places.extend(range(span.slot * length + span.lo, span.slot * length + span.hi))
    return kept, places


def _groups(
    spans: Sequence_[Span], starts: Sequence_[int], *, device: torch.device, merge: bool
) -> list[Group]:
    groups: list[Group] = []
    begin = 0
    for end in range(1, len(spans) + 1):
        if end == len(spans) or not merge or _shape(spans[end])[:3] != _shape(spans[begin])[:3]:
            groups.append(_group(spans[begin:end], starts[begin], device))
            begin = end
    return groups


def _group(spans: Sequence_[Span], start: int, device: torch.device) -> Group:
    lengths = [span.length for span in spans]
    keys, width = max(lengths), spans[0].width
    if not spans[0].reads:
        return Group(start=start, rows=len(spans), width=width, keys=keys)
    slots = [span.slot for span in spans if span.slot is not None]
    neighbours = slots == list(range(slots[0], slots[0] + len(slots)))
    mask = None
    if min(lengths) < keys:
        own = torch.tensor(lengths)[:, None]
        mask = (torch.arange(keys)[None, :] < own)[:, None, None, :].to(device)
    return Group(
        start=start,
        rows=len(spans),
        width=width,
        keys=keys,
        slots=None if neighbours else torch.tensor(slots, device=device),
        first=slots[0] if neighbours else None,
        mask=mask,
    )
