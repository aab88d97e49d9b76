"""How the columns of several requests lie in one packed forward.

Requests are concatenated without padding: row ``r`` of the call brings columns ``[lo, hi)`` of its canvas,
and all linear layers see one ``[N, d]`` matrix, N being the sum of the widths. Only attention knows about
requests. It runs per *group* of requests of equal width; where their lengths differ, keys beyond a row's
own length are masked, and where attention is causal, keys beyond each column.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Group", "Layout", "Span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One request's part of a forward.

    Columns ``[lo, hi)`` of the first ``length`` columns of a canvas are computed; logits are wanted for
    ``[head_lo, head_hi)`` within them. ``slot`` is its place in the cache, None where nothing is kept; with
    ``reads`` the keys and values of all other columns come from that slot. With ``causal`` a column attends
    to itself and those before it, otherwise to all. ``inputs``, ``[hi - lo, d]``, is fed instead of the
    embeddings of ``ids``.
    """

    ids: Sequence_[int]
    lo: int
    hi: int
    length: int
    head_lo: int
    head_hi: int
    slot: int | None = None
    reads: bool = False
    causal: bool = False
    inputs: Tensor | None = None

    def __post_init__(self) -> None:
        assert len(self.ids) == self.hi - self.lo
        assert 0 <= self.lo <= self.head_lo < self.head_hi <= self.hi <= self.length
        assert self.reads or (self.lo, self.hi) == (0, self.length), "columns outside the call have no keys"
        assert not self.reads or self.slot is not None

    @property
    def width(self) -> int:
        return self.hi - self.lo

    @property
    def head_width(self) -> int:
        return self.head_hi - self.head_lo

    @property
    def place(self) -> tuple[int, int, int, int, int, int | None, bool, bool]:
        """Everything but what is fed."""
        return (
            self.lo, self.hi, self.length, self.head_lo, self.head_hi, self.slot, self.reads, self.causal
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Requests that attend in one call.

    Their queries are ``rows`` times ``width`` packed columns from ``start``. Their keys lie in the cache
    slots ``slots`` (``first`` to ``first + rows`` when they are neighbours), or, where both are None, are the
    call's own: ``rows`` times ``keys`` packed columns from ``key_start``. ``keys`` is the longest row's
    length. ``mask`` is ``[rows, 1, 1 or width, keys]``, True where a query attends to a key, or None where
    all queries attend to all keys; with ``causal``, instead, query n attends to keys 0 to n.
    """

    start: int
    rows: int
    width: int
    keys: int
    key_start: int
    slots: Tensor | None = None
    first: int | None = None
    mask: Tensor | None = None
    causal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The index tensors of one packed forward, all int64 on the network's device.

    Attributes:
        ids, positions: ``[N]``, token and absolute position of every packed column.
        kept: packed columns whose keys go into the cache; None if that is all of them.
        places: where they go, as flat slot · length + column; None if nothing is kept.
        head: packed columns whose logits are wanted; None if that is all of them.
        groups: how the requests attend.
        head_groups: the same for the last layer, whose only queries are the ``head`` columns.
        restore: puts rows of ``head`` columns into the order of the requests; None if they are.
        inputs: pairs of a packed column and the embeddings that are fed from there on.
        order: which request each packed one is.
        shapes: the requests' places, from which all but ``ids`` and ``inputs`` follows.
    """

    ids: Tensor
    positions: Tensor
    kept: Tensor | None
    places: Tensor | None
    head: Tensor | None
    groups: tuple[Group, ...]
    head_groups: tuple[Group, ...]
    restore: Tensor | None
    inputs: tuple[tuple[int, Tensor], ...]
    order: tuple[int, ...]
    shapes: tuple[object, ...]

    @classmethod
    def of(
        cls,
        spans: Sequence_[Span],
        *,
        device: torch.device,
        cache_length: int,
        merge: bool,
        previous: Layout | None = None,
    ) -> Layout:
        """The layout of ``spans``; with ``merge`` requests of one shape attend together, else one by one.

        One by one, a request's arithmetic is exactly that of the request alone. Where ``previous`` had spans
        of the same places, only tokens and inputs are new.
        """
        shapes = tuple(span.place for span in spans)
        if previous is None or previous.shapes != shapes:
            return cls._anew(spans, shapes, device=device, cache_length=cache_length, merge=merge)
        packed = [spans[r] for r in previous.order]
        return replace(previous, ids=_index(_ids(packed), device), inputs=_inputs(packed))

    @classmethod
    def _anew(
        cls,
        spans: Sequence_[Span],
        shapes: tuple[object, ...],
        *,
        device: torch.device,
        cache_length: int,
        merge: bool,
    ) -> Layout:
        order = list(range(len(spans)))
        if merge:
            order.sort(key=lambda r: _sort_key(spans[r]))
        packed = [spans[r] for r in order]
        starts = _starts([span.width for span in packed])
        head_starts = _starts([span.head_width for span in packed])
        groups, head_groups = _groups(packed, starts, head_starts, device=device, merge=merge)
        total = sum(span.width for span in packed)
        kept, places = _kept(packed, starts, cache_length)
        head = _head(packed, starts)
        restore = [
            head_starts[place] + offset
            for _, place in sorted(zip(order, range(len(packed)), strict=True))
            for offset in range(packed[place].head_width)
        ]
        return cls(
            ids=_index(_ids(packed), device),
            positions=_index([column for span in packed for column in range(span.lo, span.hi)], device),
            kept=_index(kept, device) if 0 < len(kept) < total else None,
            places=_index(places, device) if places else None,
            head=_index(head, device) if len(head) < total else None,
            groups=groups,
            head_groups=head_groups,
            restore=None if restore == sorted(restore) else _index(restore, device),
            inputs=_inputs(packed),
            order=tuple(order),
            shapes=shapes,
        )


def _index(values: list[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=True)


def _ids(packed: Sequence_[Span]) -> list[int]:
    return [token for span in packed for token in span.ids]


def _inputs(packed: Sequence_[Span]) -> tuple[tuple[int, Tensor], ...]:
    starts = _starts([span.width for span in packed])
    return tuple(
        (start, span.inputs) for span, start in zip(packed, starts, strict=True) if span.inputs is not None
    )


def _shape(span: Span) -> tuple[bool, bool, int, int, int]:
    """What spans of one group have in common. Lengths differ only where keys come from the cache."""
    return (span.reads, span.causal, span.width, span.head_width, 0 if span.reads else span.length)


def _sort_key(span: Span) -> tuple[tuple[bool, bool, int, int, int], int]:
    return _shape(span), span.slot or 0


def _starts(widths: list[int]) -> list[int]:
    return list(itertools.accumulate(widths[:-1], initial=0))


def _head(spans: Sequence_[Span], starts: Sequence_[int]) -> list[int]:
    return [
        start + column - span.lo
        for span, start in zip(spans, starts, strict=True)
        for column in range(span.head_lo, span.head_hi)
    ]


def _kept(spans: Sequence_[Span], starts: Sequence_[int], length: int) -> tuple[list[int], list[int]]:
    kept: list[int] = []
    places: list[int] = []
    for span, start in zip(spans, starts, strict=True):
        if span.slot is not None:
            kept.extend(range(start, start + span.width))
            places.extend(range(span.slot * length + span.lo, span.slot * length + span.hi))
    return kept, places


def _groups(
    spans: Sequence_[Span],
    starts: Sequence_[int],
    head_starts: Sequence_[int],
    *,
    device: torch.device,
    merge: bool,
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """The groups of every layer and those of the last."""
    groups: list[Group] = []
    head_groups: list[Group] = []
    begin = 0
    for end in range(1, len(spans) + 1):
        if end == len(spans) or not merge or _shape(spans[end]) != _shape(spans[begin]):
            group = _group(spans[begin:end], starts[begin], device)
            groups.append(group)
            head_groups.append(_head_group(group, spans[begin:end], head_starts[begin], device))
            begin = end
    return tuple(groups), tuple(head_groups)


def _group(spans: Sequence_[Span], start: int, device: torch.device) -> Group:
    lengths, width = [span.length for span in spans], spans[0].width
    own = Group(
        start=start,
        rows=len(spans),
        width=width,
        keys=max(lengths),
        key_start=start,
        causal=spans[0].causal and width == lengths[0],
    )
    if not spans[0].reads:
        return own
    slots = [span.slot for span in spans if span.slot is not None]
    neighbours = slots == list(range(slots[0], slots[0] + len(slots)))
    return replace(
        own,
        slots=None if neighbours else torch.tensor(slots, device=device),
        first=slots[0] if neighbours else None,
        mask=_mask(spans, [span.lo for span in spans], width, own.keys, device),
    )


def _head_group(group: Group, spans: Sequence_[Span], start: int, device: torch.device) -> Group:
    """``group`` in the last layer, where only the head columns ask."""
    width = spans[0].head_width
    if width == group.width:
        return replace(group, start=start)
    mask = _mask(spans, [span.head_lo for span in spans], width, group.keys, device)
    return replace(group, start=start, width=width, mask=mask, causal=False)


def _mask(
    spans: Sequence_[Span], firsts: Sequence_[int], width: int, keys: int, device: torch.device
) -> Tensor | None:
    """Which keys the ``width`` columns from each of ``firsts`` attend to; None if that is all of them."""
    if not spans[0].causal:
        lengths = [span.length for span in spans]
        return _padding(lengths, keys, device) if min(lengths) < keys else None
    if width == 1 and min(firsts) + 1 == keys:
        return None
    columns = torch.tensor(firsts)[:, None] + torch.arange(width)
    return (torch.arange(keys) <= columns[:, None, :, None]).to(device)


def _padding(lengths: list[int], keys: int, device: torch.device) -> Tensor:
    """True where a key belongs to its row, ``[rows, 1, 1, keys]``."""
    own = torch.arange(keys)[None, :] < torch.tensor(lengths)[:, None]
    return own[:, None, None, :].to(device)
