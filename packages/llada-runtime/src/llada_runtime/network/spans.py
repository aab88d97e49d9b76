"""What one request brings to a packed forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from llada_runtime.network.cache import Extent
from llada_runtime.network.sight import Merge, Sight, sight

__all__ = ["Place", "Span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One request's part of a forward.

    Attributes:
        ids: the tokens at columns ``[lo, hi)`` of its canvas, which are computed, and those of its shadow.
        length: its first ``length`` columns are attended to.
        head_lo, head_hi: columns, within ``[lo, hi)``, whose logits are wanted.
        extent: where its keys and values are kept, None where they are not and none are read.
        reads: the keys and values of all columns outside ``[lo, hi)`` are read from ``extent``.
        apart: it only reads: its own keys and values are not kept in ``extent``.
        stride: attention goes in strides of so many columns: column c attends to every column below
            ``(c // stride + 1) * stride``. 1 is causal, a block's width block-causal, None attends to all.
        tail: the position of its last column, where that is not its place; None is its place.
        inputs: ``[hi - lo, d]``, fed instead of the embeddings of ``ids``.
        shadow: columns ``[lo, hi)`` that are computed once more, as other tokens. These see each other and
            all columns but each its own, and no column sees them; their logits come behind the others.
    """

    ids: Sequence[int]
    lo: int
    hi: int
    length: int
    head_lo: int
    head_hi: int
    extent: Extent | None = None
    reads: bool = False
    stride: int | None = None
    tail: int | None = None
    apart: bool = False
    inputs: Tensor | None = None
    shadow: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        assert len(self.ids) == self.width
        assert 0 <= self.lo <= self.head_lo < self.head_hi <= self.hi <= self.length
        assert self.reads or (self.lo, self.hi) == (0, self.length), "columns outside the call have no keys"
        assert not self.reads or self.extent is not None
        assert self.reads or not self.apart
        assert self.extent is None or self.length <= self.extent.length
        assert self.stride is None or self.stride > 0
        assert self.tail is None or self.tail >= self.hi == self.length
        if self.shadow is not None:
            assert self.lo <= self.shadow[0] < self.shadow[1] <= self.hi
            others = (self.extent, self.stride, self.tail)
            assert others == (None, None, None), "a shadow sees what its forward brings"

    @property
    def width(self) -> int:
        """Packed columns that it brings, those of its shadow among them."""
        return self.hi - self.lo + _width(self.shadow)

    @property
    def head_width(self) -> int:
        return self.head_hi - self.head_lo + _width(self.shadow)

    @property
    def place(self) -> Place:
        """Everything but what is fed, as it is now: an extent may have moved by the next forward."""
        start = None if self.extent is None else self.extent.start
        return Place(
            self.lo, self.hi, self.length, self.head_lo, self.head_hi, start, self.reads, self.stride,
            self.shadow, self.tail, self.apart,
        )  # fmt: skip


class Place(NamedTuple):
    """A `Span` without what is fed; ``start`` is the first column of its extent in the cache's pool."""

    lo: int
    hi: int
    length: int
    head_lo: int
    head_hi: int
    start: int | None
    reads: bool
    stride: int | None
    shadow: tuple[int, int] | None = None
    tail: int | None = None
    apart: bool = False

    @property
    def width(self) -> int:
        return self.hi - self.lo + _width(self.shadow)

    @property
    def head_width(self) -> int:
        return self.head_hi - self.head_lo + _width(self.shadow)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Columns ``[lo, hi)`` that its packed columns stand at, one range after the other."""
        if self.tail is not None:
            return (self.lo, self.hi - 1), (self.tail, self.tail + 1)
        own = (self.lo, self.hi)
        return (own,) if self.shadow is None else (own, self.shadow)

    @property
    def sight(self) -> Sight:
        """What its columns attend to."""
        return sight(self.lo, self.hi, length=self.length, stride=self.stride)

    @property
    def head_sight(self) -> Sight:
        """What its head columns attend to."""
        return sight(self.head_lo, self.head_hi, length=self.length, stride=self.stride)

    @property
    def shadow_sight(self) -> Sight:
        """What its shadow's columns attend to: the forward's own keys, the shadow's behind the canvas's."""
        assert self.shadow is not None
        width = _width(self.shadow)
        return Sight(width, self.length + width, self.shadow[0], None, own=False)

    def pooled(self, merge: Merge) -> bool:
        """Whether its columns attend to keys in the cache's pool: what it ``reads``, or its own that are kept
        there, where wide strides of them attend as rows of their own."""
        in_parts = self.start is not None and merge is Merge.RAGGED and self.sight.parts
        return self.reads or in_parts


def _width(shadow: tuple[int, int] | None) -> int:
    return 0 if shadow is None else shadow[1] - shadow[0]
