"""How the columns of several requests lie in one packed forward.

Requests are concatenated without padding, but for the columns that a `Form` repeats: row ``r`` of the call
brings columns ``[lo, hi)`` of its canvas, and all linear layers see one ``[N, d]`` matrix, N being the sum of
the widths. Only attention knows about requests: `calls` says which of them attend together, and where their
keys lie.

A layout is a `Form`, from which everything but tokens follows, and tensors of indices. What a CUDA graph of a
forward has baked in is its ``graph_key``; forwards of one key differ in the content of ``indices`` alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
from torch import Tensor

from llada_runtime.network.calls import Apart, Asking, Call, Merge, Ragged, calls_of
from llada_runtime.network.form import Form
from llada_runtime.network.spans import Place, Span

__all__ = ["Form", "Layout", "Place", "Span"]

_FEW = 12  # runs, up to which one call each is the faster way: those of two rows


class Key:
    """A hashable value that knows its hash: within a block it is looked up at every step."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Hashable) -> None:
        self._value, self._hash = value, hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._value == other._value


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One packed forward. All tensors are on the network's device, indices int64.

    Attributes:
        form: what all but ``ids`` and ``inputs`` follows from; it says where an index is the identity.
        ids, positions: ``[N]``, token and absolute position of every packed column.
        kept: ``[K]``, packed columns whose keys and values go into the cache.
        places: ``[K]``, the columns of the cache's pool that they go to.
        head: ``[H]``, packed columns whose logits are wanted.
        restore: ``[H]``, for each of the requests' head columns in their order, its place in ``head``.
        calls: how the requests attend.
        head_calls: the same for the last layer, whose only queries are the ``head`` columns.
        inputs: pairs of a packed column and the embeddings ``[width, d]`` that are fed from there on.
        key: the part of ``graph_key`` that follows from the form.
    """

    form: Form
    ids: Tensor
    positions: Tensor
    kept: Tensor
    places: Tensor
    head: Tensor
    restore: Tensor
    calls: tuple[Call | Ragged, ...]
    head_calls: tuple[Call | Ragged, ...]
    inputs: tuple[tuple[int, Tensor], ...]
    key: Key = field(compare=False)

    @classmethod
    def of(
        cls,
        spans: Sequence[Span],
        *,
        device: torch.device,
        merge: Merge | bool,
        previous: Layout | None = None,
    ) -> Layout:
        """The layout of ``spans``, of which those may attend together that ``merge`` says; True is EQUAL.

        One by one, a request's arithmetic is exactly that of the request alone. Where ``previous`` has the
        same form, only tokens and inputs are new.
        """
        places, how = tuple(span.place for span in spans), Merge(merge)
        if previous is not None and previous.form.places == places and previous.form.merge is how:
            ids, inputs = _brought(spans, previous.form, device)
            return replace(previous, ids=ids, inputs=inputs)
        form = Form.of(places, how)
        ids, inputs = _brought(spans, form, device)
        return cls.at(form, ids=ids, inputs=inputs)

    @classmethod
    def at(cls, form: Form, *, ids: Tensor, inputs: tuple[tuple[int, Tensor], ...]) -> Layout:
        """The layout of ``form`` on the device of ``ids``, int64 ``[N]`` in the packed order."""
        device = ids.device
        positions, kept, stored, head, restore = _indices(form, device)
        calls, head_calls = _attention(form, device)
        return cls(
            form=form,
            ids=ids,
            positions=positions,
            kept=kept,
            places=stored,
            head=head,
            restore=restore,
            calls=calls,
            head_calls=head_calls,
            inputs=inputs,
            key=Key((form.columns, form.head_columns, form.kept_columns, form.in_order, calls, head_calls)),
        )

    @property
    def indices(self) -> tuple[Tensor, ...]:
        """Every tensor whose content differs between layouts of one ``graph_key``, in a fixed order."""
        own = (self.ids, self.positions, self.kept, self.places, self.head, self.restore)
        calls = self.calls if self.head_calls is self.calls else self.calls + self.head_calls
        ragged = [call.indices for call in calls if isinstance(call, Ragged)]
        return (*own, *ragged, *(inputs for _, inputs in self.inputs))

    @property
    def masked(self) -> bool:
        """Whether some call has a mask, or keys in two places: both follow from where its row stands, and so
        would a graph of it."""
        calls = (*self.calls, *self.head_calls)
        return any(
            isinstance(call, Call) and (call.mask is not None or call.apart is not None) for call in calls
        )

    def copied(self) -> Layout:
        """The same forward, its ``indices`` in tensors of their own; ``inputs`` excepted."""
        calls = _copied(self.calls)
        return replace(
            self,
            ids=self.ids.clone(),
            positions=self.positions.clone(),
            kept=self.kept.clone(),
            places=self.places.clone(),
            head=self.head.clone(),
            restore=self.restore.clone(),
            calls=calls,
            head_calls=calls if self.head_calls is self.calls else _copied(self.head_calls),
        )

    @property
    def graph_key(self) -> Hashable:
        """The ints and shapes that a captured forward has baked in."""
        return (
            (self.key, *((start, len(inputs)) for start, inputs in self.inputs)) if self.inputs else self.key
        )


def _copied(calls: tuple[Call | Ragged, ...]) -> tuple[Call | Ragged, ...]:
    return tuple(call.copied() if isinstance(call, Ragged) else call for call in calls)


def _starts(widths: Iterable[int]) -> list[int]:
    return list(accumulate(widths, initial=0))[:-1]


def _brought(
    spans: Sequence[Span], form: Form, device: torch.device
) -> tuple[Tensor, tuple[tuple[int, Tensor], ...]]:
    """The ids ``[N]`` and the inputs of a `Layout` of ``spans``."""
    packed, more = [spans[row] for row in form.order], form.repeated or 0
    ids = array("q")  # a list of ints becomes a tensor several times as fast by way of one
    for span in packed:
        ids.extend(span.ids)
    ids.extend(ids[-1:] * more)
    there = torch.frombuffer(ids, dtype=torch.int64).to(device, non_blocking=True)
    if all(span.inputs is None for span in packed):
        return there, ()
    starts = _starts(span.width for span in packed)
    fed = [(at, span.inputs) for span, at in zip(packed, starts, strict=True) if span.inputs is not None]
    return there, tuple((at, torch.cat((new, new[-1:].expand(more, -1))) if more else new) for at, new in fed)


def _indices(form: Form, device: torch.device) -> Sequence[Tensor]:
    """Positions, what is kept and where, the head, its order: parts of one tensor, sent at once."""
    packed = [form.places[row] for row in form.order]
    starts = _starts(place.width for place in packed)
    head_starts = _starts(place.head_width for place in packed)
    rows = list(zip(packed, starts, strict=True))
    kept = [row for row in rows if row[0].start is not None and not row[0].apart]
    back = sorted(range(len(packed)), key=form.order.__getitem__)  # the packed row of each request
    more, last = form.repeated or 0, packed[-1]
    runs = [
        *((lo, hi - lo) for lo, hi in form.ranges),
        *[(form.ranges[-1][1] - 1, 1)] * more,
        *((start, place.width) for place, start in kept),
        *([(last.width, more)] if more else []),
        *(((place.start or 0) + place.lo, place.width) for place, _ in kept),
        *[((last.start or 0) + last.hi - 1, 1)] * more,
        *(run for place, start in rows for run in _head_runs(place, start)),
        *((head_starts[row], packed[row].head_width) for row in back),
    ]
    lengths = [form.columns, form.kept_columns, form.kept_columns, form.head_columns, form.head_columns]
    together = _concatenated(runs, sum(lengths)).to(device, non_blocking=True)
    return together.split_with_sizes(lengths)


def _head_runs(place: Place, start: int) -> Iterator[tuple[int, int]]:
    """The head columns of a packed row that starts there, as runs of packed columns."""
    yield start + place.head_lo - place.lo, place.head_hi - place.head_lo
    if place.shadow is not None:
        lo, hi = place.shadow
        yield start + place.hi - place.lo, hi - lo


def _concatenated(runs: Sequence[tuple[int, int]], total: int) -> Tensor:
    """``first, first + 1, …`` of each run ``(first, width)``, one after the other; int64 ``[total]``."""
    if len(runs) <= _FEW:
        return torch.cat([torch.arange(first, first + width) for first, width in runs])
    firsts, widths = torch.tensor(runs).unbind(1)
    shifts = firsts - (widths.cumsum(0) - widths)
    return torch.arange(total) + shifts.repeat_interleave(widths, output_size=total)


def _attention(
    form: Form, device: torch.device
) -> tuple[tuple[Call | Ragged, ...], tuple[Call | Ragged, ...]]:
    """The calls of every layer and those of the last."""
    packed = [form.places[row] for row in form.order]
    if form.repeated is not None:
        return _attention_of_one(form.columns, packed[0], device)
    whole, head = [], []
    start = head_start = 0
    for place in packed:
        pooled = place.pooled(form.merge)
        # Where its keys begin: in the pool, or among the packed columns of this forward.
        first = place.start if pooled and place.start is not None else start
        apart = Apart(start, place.lo, place.hi) if place.apart else None
        whole.append(Asking(start, first, pooled, place.sight, apart))
        head.append(Asking(head_start, first, pooled, place.head_sight, apart))
        if place.shadow is not None:
            sees = place.shadow_sight
            whole.append(Asking(start + place.hi - place.lo, first, False, sees))
            head.append(Asking(head_start + place.head_hi - place.head_lo, first, False, sees))
        start += place.width
        head_start += place.head_width
    calls = calls_of(whole, form.merge, device)
    return calls, calls if form.asks_all else calls_of(head, form.merge, device)


def _attention_of_one(
    columns: int, place: Place, device: torch.device
) -> tuple[tuple[Call | Ragged, ...], tuple[Call | Ragged, ...]]:
    """The same of a row whose last column is repeated: it asks of the pool, where its keys are by then."""
    asking = Asking(0, place.start or 0, True, place.sight._replace(width=columns))
    head = asking._replace(sight=place.head_sight)
    calls = calls_of([asking], Merge.RAGGED, device)
    return calls, calls if place.head_width == columns else calls_of([head], Merge.RAGGED, device)
