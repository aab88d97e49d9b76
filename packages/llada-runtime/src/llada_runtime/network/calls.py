"""Which rows of a packed forward attend in one call, and on which keys.

Rows that bring all their own keys attend on views of these; rows that read the cache, on views of its pool:
several in one call where they are alike and lie at equal distances, or, where there is a kernel for it, all
that see everything and all that see what is before them (`Ragged`). Rows that read the cache and keep nothing
there have their keys in two places (`Apart`): these alone are copied, for each call.

A row whose attention goes in strides is cut where its mask would be large: each piece of its queries sees the
keys up to its own end. A piece of one stride needs no mask, and is a row of the ragged kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from llada_runtime.network.sight import Merge, Sight, of_two_places, sight

__all__ = ["Apart", "Asking", "Call", "Merge", "Ragged", "calls_of"]

_LONG = 4096  # keys, up to which rows of all lengths are of one kind
_MASK = 2**20  # entries that the mask of a piece may have: those of 1,024 columns


class Apart(NamedTuple):
    """Keys ``[lo, hi)`` of a row that are the forward's own, from the packed column ``start`` on."""

    start: int
    lo: int
    hi: int


class Asking(NamedTuple):
    """A packed row: its first query, its first key, in the pool where it ``reads``, and what it sees; and
    those of its keys that are ``apart``, where it reads the pool."""

    start: int
    first: int
    reads: bool
    sight: Sight
    apart: Apart | None = None

    def among(self, merge: Merge) -> Merge:
        """Which rows it may attend with in one call, where others do as ``merge`` says."""
        return merge if self.apart is None else of_two_places(merge)

    def kind(self, merge: Merge) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What rows that attend in one call have in common."""
        if self.apart is None:
            return self.sight.kind(self.reads, merge), ()
        return self.sight.kind(self.reads, of_two_places(merge)), self.apart[1:]

    def follows(self, row: Asking) -> bool:
        """Whether its own keys stand where those of ``row`` end, where it has such."""
        return (
            self.apart is None
            or row.apart is None
            or self.apart.start == row.apart.start + row.apart.hi - row.apart.lo
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Rows of one shape that attend in one call.

    Attributes:
        start: the queries are ``rows`` times ``width`` packed columns from here on.
        first, spacing, keys: row r's keys are ``keys`` columns from ``first + r · spacing`` on.
        pooled: they lie in the cache's pool; else they are the forward's own.
        apart: keys of row 0 that are the forward's own all the same; the next row's stand behind them.
        lo, stride: where a stride is given, queries are at columns ``lo`` and following of their row, and
            column c sees the keys below ``(c // stride + 1) * stride``.
        own: queries see the key of their own column; False is all but that.
        mask: bool ``[width, keys]``, which follows from the ints, where neither "all" nor "causal" says it;
            it may be a view of another's.
    """

    start: int
    rows: int
    width: int
    first: int
    spacing: int
    keys: int
    pooled: bool
    lo: int
    stride: int | None
    own: bool = True
    mask: Tensor | None = field(compare=False)
    apart: Apart | None = None

    @property
    def causal(self) -> bool:
        """Query n sees keys 0 to n."""
        return self.stride is not None and self.mask is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """Rows of any widths and lengths that attend in one call, on extents anywhere in the pool.

    Attributes:
        start, columns: the queries are so many packed columns from ``start`` on.
        rows: R.
        widest: queries of the widest row. longest: keys of the longest, or more.
        causal: the last query of a row sees all its keys, each one before it one less; else all see all.
        query_starts: int32 ``[R + 1]``, row r asks with the queries from entry r to entry r + 1, counted from
            ``start``.
        key_starts: int32 ``[R + 1]``, the first column of each row's keys in the pool; the last is not used.
        lengths: int32 ``[R]``, how many keys each row has.
        indices: the three in one, of which they are views.
    """

    start: int
    columns: int
    rows: int
    widest: int
    longest: int
    causal: bool
    indices: Tensor = field(compare=False)
    query_starts: Tensor = field(compare=False)
    key_starts: Tensor = field(compare=False)
    lengths: Tensor = field(compare=False)

    def copied(self) -> Ragged:
        """The same call, reading tensors of its own."""
        indices = self.indices.clone()
        starts, firsts, lengths = _parts(indices, self.rows)
        return replace(self, indices=indices, query_starts=starts, key_starts=firsts, lengths=lengths)


def calls_of(rows: Sequence[Asking], merge: Merge, device: torch.device) -> tuple[Call | Ragged, ...]:
    """How ``rows``, packed in this order, attend: those of one kind that stand together in one call."""
    rows = [piece for row in rows for piece in _cut(row, merge)]
    masks = _masks(rows, device)
    if merge is Merge.NONE:
        return tuple(_call([row], masks) for row in rows)
    calls: list[Call | Ragged] = []
    for _, alike in groupby(rows, key=lambda row: row.kind(merge)):
        together = list(alike)
        if together[0].sight.ragged(together[0].reads, together[0].among(merge)):
            calls.append(_ragged(together, device))
        else:
            calls.extend(_call(run, masks) for run in _evenly_spaced(together))
    return tuple(calls)


def _cut(row: Asking, merge: Merge) -> Iterator[Asking]:
    """``row`` in pieces that need no mask, or none that is large."""
    seen = row.sight
    if seen.stride is None or seen.causal:
        yield row
    elif seen.ragged(row.reads, row.among(merge)):
        yield from _pieces(row, seen.stride) if seen.parts else [row]
    elif seen.width * seen.keys > _MASK:
        yield from _pieces(row, _MASK // seen.keys)
    else:
        yield row


def _pieces(row: Asking, columns: int) -> Iterator[Asking]:
    """``row`` in pieces that end where a stride does, of so many columns at most, or of one stride."""
    seen, stride = row.sight, row.sight.stride or 1
    together = max(columns // stride, 1) * stride
    starts = range((seen.lo // together + 1) * together, seen.lo + seen.width, together)
    for lo, hi in pairwise([seen.lo, *starts, seen.lo + seen.width]):
        part = sight(lo, hi, length=seen.keys, stride=stride)
        yield row._replace(start=row.start + lo - seen.lo, sight=part)


def _evenly_spaced(rows: Sequence[Asking]) -> Iterator[list[Asking]]:
    """``rows`` cut into runs whose keys lie at equal distances: each can be one view."""
    run = [rows[0]]
    for row in rows[1:]:
        distance = row.first - run[-1].first
        uneven = len(run) > 1 and distance != run[1].first - run[0].first
        if distance < 0 or uneven or not row.follows(run[-1]):
            yield run
            run = []
        run.append(row)
    yield run


def _call(rows: Sequence[Asking], masks: Callable[[Sight], Tensor]) -> Call:
    one = rows[0]
    width, keys, lo, stride, own = one.sight
    return Call(
        start=one.start,
        rows=len(rows),
        width=width,
        first=one.first,
        spacing=rows[1].first - one.first if len(rows) > 1 else keys,
        keys=keys,
        pooled=one.reads,
        lo=lo,
        stride=stride,
        own=own,
        mask=None if (stride is None and own) or one.sight.causal else masks(one.sight),
        apart=one.apart,
    )


def _masks(rows: Sequence[Asking], device: torch.device) -> Callable[[Sight], Tensor]:
    """What makes the mask of a sight: those of one row's pieces are views of its longest one's."""
    longest: dict[tuple[int, int | None], int] = {}
    for row in rows:
        if row.sight.ends_aligned:
            kind = (row.sight.width, row.sight.stride)
            longest[kind] = max(row.sight.keys, longest.get(kind, 0))
    made: dict[tuple[int, int | None], Tensor] = {}

    def mask(seen: Sight) -> Tensor:
        if seen.stride is None:
            return _all_but_own(seen.width, seen.keys, seen.lo).to(device)
        if not seen.ends_aligned:
            return _mask(seen.width, seen.keys, seen.lo, seen.stride).to(device)
        kind = (seen.width, seen.stride)
        most = longest[kind]
        if kind not in made:
            made[kind] = _mask(seen.width, most, most - seen.width, seen.stride).to(device)
        return made[kind][:, most - seen.keys :]

    return mask


def _mask(width: int, keys: int, lo: int, stride: int) -> Tensor:
    """True where a query sees a key, ``[width, keys]``."""
    ends = (torch.arange(lo, lo + width) // stride + 1) * stride  # [width]
    return torch.arange(keys) < ends[:, None]


def _all_but_own(width: int, keys: int, lo: int) -> Tensor:
    """False where the key is the query's own column, ``[width, keys]``."""
    return torch.arange(keys) != torch.arange(lo, lo + width)[:, None]


def _ragged(rows: Sequence[Asking], device: torch.device) -> Ragged:
    widths, lengths = [row.sight.width for row in rows], [row.sight.keys for row in rows]
    query_starts = list(accumulate(widths, initial=0))
    key_starts = [*(row.first for row in rows), 0]
    indices = torch.tensor(query_starts + key_starts + lengths, dtype=torch.int32)
    indices = indices.to(device, non_blocking=True)
    parts = _parts(indices, len(rows))
    return Ragged(
        start=rows[0].start,
        columns=sum(widths),
        rows=len(rows),
        widest=max(widths),
        longest=max(_LONG, 1 << (max(lengths) - 1).bit_length()),  # too large is correct and free
        causal=rows[0].sight.stride == 1,
        indices=indices,
        query_starts=parts[0],
        key_starts=parts[1],
        lengths=parts[2],
    )


def _parts(indices: Tensor, rows: int) -> Sequence[Tensor]:
    """Starts of queries and of keys ``[rows + 1]``, and lengths ``[rows]``: views of ``indices``."""
    return indices.split([rows + 1, rows + 1, rows])
