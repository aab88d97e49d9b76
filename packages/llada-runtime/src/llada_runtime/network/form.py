"""What the shapes and indices of a packed forward follow from: where its requests' columns are, and how many.

So that a row's whole forward is of one of few kinds, whatever its length, its last column is repeated until
their number is a multiple of 64: each of these computes what the last one does and keeps it in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from llada_runtime.network.sight import Merge, of_two_places
from llada_runtime.network.spans import Place

__all__ = ["WHOLES", "Form"]

WHOLES = range(64, 1024 + 1, 64)
"""Columns that whole forwards of one row have; beyond, launching them takes less than the GPU on any host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the shapes and indices of a packed forward follow from, as a hashable value of ints.

    Attributes:
        places: of the requests, in their order.
        merge: which of them may attend in one call.
        order: which request each packed row is.
        ranges: columns ``[lo, hi)`` of the packed rows, one of each, and behind it that of its shadow, or of
            a last column that stands elsewhere; positions, and so the rotation, follow from these.
        columns, head_columns, kept_columns: how many are computed, asked for logits, and kept.
        repeated: how many of the columns are the last one again; None where none may be.
    """

    places: tuple[Place, ...]
    merge: Merge
    order: tuple[int, ...] = field(compare=False)
    ranges: tuple[tuple[int, int], ...] = field(compare=False)
    columns: int = field(compare=False)
    head_columns: int = field(compare=False)
    kept_columns: int = field(compare=False)
    repeated: int | None = field(compare=False)

    @classmethod
    def of(cls, places: tuple[Place, ...], merge: Merge) -> Form:
        order = tuple(range(len(places)))
        if merge is not Merge.NONE:
            order = tuple(sorted(order, key=lambda row: _sort_key(places[row], merge)))
        repeated = _repeated(places, merge)
        more = repeated or 0
        return cls(
            places=places,
            merge=merge,
            order=order,
            ranges=tuple(chain.from_iterable(places[row].ranges for row in order)),
            columns=sum(place.width for place in places) + more,
            head_columns=sum(place.head_width for place in places),
            kept_columns=sum(place.width for place in places if place.start is not None and not place.apart)
            + more,
            repeated=repeated,
        )

    @property
    def keeps_all(self) -> bool:
        """Whether the indices of what is kept are the identity: the keys of every packed column."""
        return self.kept_columns == self.columns

    @property
    def asks_all(self) -> bool:
        """Whether the indices of the head are the identity: logits of every packed column."""
        return self.head_columns == self.columns

    @property
    def in_order(self) -> bool:
        """Whether the packed rows stand in the order of the requests: nothing has to be restored."""
        return self.order == tuple(range(len(self.order)))


def _sort_key(place: Place, merge: Merge) -> tuple[bool, tuple[int, ...], bool, tuple[int, ...], int]:
    """Rows that attend together stand together, in the last layer too, and those with shadows apart.

    They are in the order of their keys where distances matter, else in that of the requests.
    """
    pooled, merge = place.pooled(merge), of_two_places(merge) if place.apart else merge
    kinds = [found.kind(pooled, merge) for found in (place.sight, place.head_sight)]
    start = 0 if place.sight.ragged(pooled, merge) else place.start or 0
    return place.shadow is not None, kinds[0], place.apart, kinds[1], start


def _repeated(places: Sequence[Place], merge: Merge) -> int | None:
    """How often the last column is repeated: that of a row by itself whose keys are all its own and kept."""
    if merge is not Merge.RAGGED or len(places) > 1 or places[0].width > WHOLES[-1]:
        return None
    (place,) = places
    if place.reads or place.start is None or place.stride is not None:
        return None
    return -place.width % WHOLES.step
