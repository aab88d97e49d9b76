"""What the columns of a row attend to, and which rows may attend in one call."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["Merge", "Sight", "of_two_places", "sight"]

_WIDE = 16  # columns of a stride, from which on it fills the ragged kernel's tile well enough


class Merge(IntEnum):
    """Which rows of a forward may attend in one call. As a bool, False is NONE and True is EQUAL.

    Attributes:
        NONE: each by itself, so that its arithmetic is exactly that of the row alone.
        EQUAL: rows of one shape whose keys lie at equal distances.
        RAGGED: besides, rows of any width and length that read the cache.
    """

    NONE = 0
    EQUAL = 1
    RAGGED = 2


def of_two_places(merge: Merge) -> Merge:
    """Which rows may attend in one call whose keys are in two places: no kernel for ragged rows reads
    such."""
    return min(merge, Merge.EQUAL)


class Sight(NamedTuple):
    """What a row's queries attend to: its first ``keys`` columns, and in strides where ``stride`` is given.

    The queries are ``width`` columns from ``lo`` on. ``lo`` is 0 where all see all: it does not matter then.
    Where they do not see their ``own`` column, query n sees all keys but ``lo + n``.
    """

    width: int
    keys: int
    lo: int
    stride: int | None
    own: bool = True

    @property
    def parts(self) -> bool:
        """Whether strides are so wide that each is a row of its own where there is a kernel for such."""
        return self.stride is not None and self.stride >= _WIDE

    def ragged(self, reads: bool, merge: Merge) -> bool:
        """Whether a row that sees this attends in a `Ragged` call."""
        return reads and merge is Merge.RAGGED and (self.stride in (None, 1) or self.parts)

    def kind(self, reads: bool, merge: Merge) -> tuple[int, ...]:
        """What rows that attend in one call have in common."""
        if self.ragged(reads, merge):
            return (int(self.stride == 1),)
        return (self.stride or 0, self.width, self.keys, self.lo, reads, self.own)

    @property
    def causal(self) -> bool:
        """Whether it is what kernels know as causal: query n sees keys 0 to n."""
        return self.stride == 1 and self.width == self.keys

    @property
    def ends_aligned(self) -> bool:
        """Whether what is not seen lies in its last ``width`` keys, and follows from width and stride."""
        return self.stride is not None and self.lo % self.stride == 0 and self.keys == self.lo + self.width


def sight(lo: int, hi: int, *, length: int, stride: int | None) -> Sight:
    """What the columns ``[lo, hi)`` of ``length`` attend to. Keys that none of them sees are left out."""
    if stride is None:
        return Sight(hi - lo, length, 0, None)
    keys = min(length, -(-hi // stride) * stride)
    if (lo // stride + 1) * stride >= keys:
        return Sight(hi - lo, keys, 0, None)
    return Sight(hi - lo, keys, lo, stride)
