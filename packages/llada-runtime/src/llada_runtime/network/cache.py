"""Storage for keys and values by columns: each request holds as many as its canvas has, next to each other.

Keys are stored after rotation: a column's position never changes, so rotating once is exact. This module
does not know when columns are written or read; plans say that.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Protocol

import torch
from torch import Tensor

from llada_runtime.network.shape import Shape
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["Extent", "KVCache", "Mirror", "Move"]

Move = tuple[int, int, int]
"""Columns that go to a lower place: from where, how many, to where."""

_STAGED = 256  # columns that are moved at a time; bounds the memory that moving takes


@dataclass(slots=True, eq=False)
class Extent:
    """Columns ``[start, start + length)`` of a cache's pool, held by one request.

    ``start`` is the cache's to change: it moves extents together when free columns lie scattered. Ask for it
    when a forward is laid out, and keep it no longer.
    """

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


class Mirror(Protocol):
    """Does to a cache's memory, and to the memory of other heads of the same columns, what is to be done."""

    def resize(self, cache: KVCache, capacity: int, used: int) -> None: ...
    def move(self, cache: KVCache, moves: Sequence[Move]) -> None: ...


class KVCache:
    """One flat pool a layer of keys and of values, each ``[columns, kv_heads, head_dim]``.

    Memory is taken as columns are: the pool grows when an extent needs it, at least doubling, layer by layer,
    so that growing never takes more than one layer's keys beside what the pool then has.

    Args:
        shape: of the network; ``Shape.cached_numbers`` are kept a column.
        columns: the budget, how many columns all requests may hold together.

    Attributes:
        mirror: calls `resize` and `move` where other heads of its columns are kept elsewhere; None where none
            are.
    """

    def __init__(self, shape: Shape, *, columns: int, device: torch.device, dtype: torch.dtype) -> None:
        self.mirror: Mirror | None = None
        self._columns, self._capacity, self._generation = columns, 0, 0
        self._held: list[Extent] = []  # ascending by start
        self._addresses: tuple[int, bytes] | None = None  # as of a generation
        empty = (0, shape.n_kv_heads, shape.head_dim)
        self._pools = [
            [torch.empty(empty, device=device, dtype=dtype) for _ in ("keys", "values")]
            for _ in range(shape.n_layers)
        ]

    @property
    def columns(self) -> int:
        """The budget in columns. It falls to ``capacity`` once the device has no memory for more."""
        return self._columns

    @property
    def capacity(self) -> int:
        """Columns that memory has been taken for so far."""
        return self._capacity

    @property
    def generation(self) -> int:
        """Goes up when pools get other addresses: a CUDA graph captured before then reads freed memory."""
        return self._generation

    @property
    def graph_key(self) -> bytes:
        """What a CUDA graph has baked in of it: where each pool is, and how long.

        It stays the same until ``generation`` goes up; another cache has it only once this one is gone.
        """
        if self._addresses is None or self._addresses[0] != self._generation:
            pools = chain.from_iterable(self._pools)
            numbers = ((pool.data_ptr(), len(pool)) for pool in pools)
            # As bytes, which know their hash once it has been asked for.
            self._addresses = (self._generation, array("Q", chain.from_iterable(numbers)).tobytes())
        return self._addresses[1]

    @property
    def free(self) -> int:
        """Columns of the budget that nobody holds; so many can be taken at once."""
        return self._columns - sum(extent.length for extent in self._held)

    @torch.inference_mode(False)  # pools are plain tensors, wherever they are written from
    def reserve(self, columns: int) -> None:
        """Take memory for so many columns at once, within the budget.

        Raises:
            torch.OutOfMemoryError: there is not so much. What there was is still there.
        """
        if min(columns, self._columns) > self._capacity:
            self._grow(min(columns, self._columns))

    def adopt(self, other: KVCache) -> None:
        """Use the memory that ``other``, of the same shape, has reserved, until more is needed.

        Both may not hold columns at a time.
        """
        assert not self._held
        assert not other._held
        self._pools = [list(pools) for pools in other._pools]
        self._capacity, self._generation = other._capacity, self._generation + 1

    @torch.inference_mode(False)
    def take(self, columns: int) -> Extent:
        """An extent of ``columns``, at most ``free``; what is in it is undefined until it is written.

        The lowest gap that is wide enough is used, so that rows that come and go stay close together. Where
        free columns suffice and no gap does, the others' extents are moved together, with what is in them.

        Raises:
            torch.OutOfMemoryError: the device has no memory left. Nothing was taken or lost, and the budget
                is now what the pool has.
        """
        assert 0 < columns <= self.free, f"{columns} columns of {self.free} free ones"
        start = self._gap(columns)
        if start is None:
            self._compact()
            start = self._held[-1].end if self._held else 0
        if start + columns > self._capacity:
            self._grow(start + columns)
        extent = Extent(start=start, length=columns)
        insort(self._held, extent, key=lambda held: held.start)
        return extent

    def release(self, extent: Extent) -> None:
        """Give the columns of ``extent`` back; it may not be used any more."""
        self._held.remove(extent)

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, each ``[capacity, kv_heads, head_dim]``; anew for every forward."""
        keys, values = self._pools[index]
        return keys, values

    def _gap(self, columns: int) -> int | None:
        """Where the lowest gap of at least ``columns`` within the budget starts."""
        ends = chain((0,), (extent.end for extent in self._held))
        starts = chain((extent.start for extent in self._held), (self._columns,))
        return next((lo for lo, hi in zip(ends, starts, strict=True) if hi - lo >= columns), None)

    def _grow(self, needed: int) -> None:
        """Make room for ``needed`` columns, for twice what there is where memory allows it."""
        for capacity in (min(max(needed, 2 * self._capacity), self._columns), needed):
            try:
                self._resize(capacity)
            except Exception as exc:
                if not is_out_of_memory(exc):
                    raise
                failure = exc.with_traceback(None)  # which would keep tensors
            else:
                self._capacity = capacity
                return
        self._columns = self._capacity
        with suppress(RuntimeError):  # a pool that cannot be cut back to its size is larger than needed
            self._resize(self._capacity)
        raise torch.OutOfMemoryError(str(failure)) from failure

    def _resize(self, capacity: int) -> None:
        used = self._held[-1].end if self._held else 0
        if self.mirror is None:
            self.resize(capacity, used)
        else:
            self.mirror.resize(self, capacity, used)

    @torch.inference_mode(False)
    def resize(self, capacity: int, used: int) -> None:
        """Give each pool ``capacity`` columns, one after the other; those that have them stay.

        What is in the first ``used`` columns is kept. Who holds them is not looked at: that is ``take``'s.

        Raises:
            torch.OutOfMemoryError: some pools have the columns, the others do not.
        """
        self._generation += 1
        for pools in self._pools:
            for kind, pool in enumerate(pools):
                if len(pool) != capacity:
                    pools[kind] = pool.new_empty((capacity, *pool.shape[1:]))
                    pools[kind][:used] = pool[:used]

    def _compact(self) -> None:
        """Move all extents to the front, in their order."""
        ends = list(accumulate((extent.length for extent in self._held), initial=0))
        pairs = list(zip(self._held, ends, strict=False))
        moves = [(extent.start, extent.length, end) for extent, end in pairs if extent.start != end]
        if self.mirror is None:
            self.move(moves)
        else:
            self.mirror.move(self, moves)
        for extent, end in pairs:
            extent.start = end

    @torch.inference_mode(False)
    def move(self, moves: Sequence[Move]) -> None:
        """Move columns in this order, with what is in them; a place may overlap the one before.

        Raises:
            torch.OutOfMemoryError: nothing has been moved.
        """
        some = self._pools[0][0]
        staged = some.new_empty((_STAGED, *some.shape[1:]))  # before anything moves: this may fail
        for start, length, to in moves:
            steps = [*range(0, length, len(staged)), length]
            for pool in chain.from_iterable(self._pools):
                for lo, hi in pairwise(steps):
                    part = staged[: hi - lo].copy_(pool[start + lo : start + hi])
                    pool[to + lo : to + hi] = part
