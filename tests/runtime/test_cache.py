"""The pool of columns: what is taken is there, stays there, and is all that memory is taken for."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llada_runtime import KVCache, Shape
from llada_runtime.network.cache import Extent

SHAPE = Shape(
    width=8, n_layers=3, n_heads=2, n_kv_heads=1, head_dim=2, mlp_width=8, vocabulary=8, eps=1e-5
)  # fmt: skip
BUDGET = 700  # more than is moved at a time


def new(columns: int = BUDGET) -> KVCache:
    return KVCache(SHAPE, columns=columns, device=torch.device("cpu"), dtype=torch.float32)


def pools(cache: KVCache) -> list[torch.Tensor]:
    return [pool for index in range(SHAPE.n_layers) for pool in cache.layer(index)]


def write(cache: KVCache, extent: Extent, seed: int) -> list[torch.Tensor]:
    """Fill ``extent`` with numbers of its own in every pool; these."""
    source = torch.Generator().manual_seed(seed)
    content = [torch.randn(extent.length, 1, 2, generator=source) for _ in pools(cache)]
    for pool, part in zip(pools(cache), content, strict=True):
        pool[extent.start : extent.end] = part
    return content


def check(cache: KVCache, held: dict[Extent, list[torch.Tensor]]) -> None:
    end = 0
    for extent in sorted(held, key=lambda extent: extent.start):
        assert end <= extent.start, "extents overlap"
        end = extent.end
        for pool, part in zip(pools(cache), held[extent], strict=True):
            assert torch.equal(pool[extent.start : extent.end], part)
    assert end <= cache.capacity <= cache.columns
    assert cache.free == cache.columns - sum(extent.length for extent in held)
    assert {len(pool) for pool in pools(cache)} == {cache.capacity}


@given(st.lists(st.one_of(st.integers(1, BUDGET), st.none()), max_size=40), st.randoms(use_true_random=False))
def test_any_takes_and_releases_keep_what_is_held(steps: list[int | None], chance: random.Random) -> None:
    """A number asks for so many columns, or for all free ones; None releases any one."""
    cache, held = new(), dict[Extent, list[torch.Tensor]]()
    for number, step in enumerate(steps):
        if step is None and held:
            extent = chance.choice(list(held))
            cache.release(extent)
            del held[extent]
        elif cache.free:
            wanted = min(step or 1, cache.free)
            extent = cache.take(wanted)
            assert extent.length == wanted
            held[extent] = write(cache, extent, number)
        check(cache, held)


def test_the_lowest_gap_that_is_wide_enough_is_used() -> None:
    cache = new()
    rows = [cache.take(columns) for columns in (10, 20, 10, 30)]
    for row in (rows[0], rows[2]):
        cache.release(row)
    assert [cache.take(columns).start for columns in (5, 6, 5, 4)] == [0, 30, 5, 36]


def test_neighbours_that_are_released_merge_in_any_order() -> None:
    cache = new(30)
    first, second, third = (cache.take(10) for _ in range(3))
    for extent in (first, third, second):
        cache.release(extent)
    assert cache.take(30).start == 0


def test_scattered_free_columns_are_moved_together() -> None:
    cache = new(600)
    rows = [cache.take(columns) for columns in (1, 290, 1, 290, 18)]
    content = {row: write(cache, row, number) for number, row in enumerate(rows)}
    for row in (rows[0], rows[2]):
        cache.release(row)
        del content[row]
    extent = cache.take(2)
    assert [rows[1].start, rows[3].start, rows[4].start, extent.start] == [0, 290, 580, 598]
    check(cache, content | {extent: write(cache, extent, 9)})


def test_memory_is_taken_as_columns_are() -> None:
    cache = new(1000)
    assert cache.capacity == 0
    grown = []
    for _ in range(10):
        cache.take(100)
        grown.append(cache.capacity)
    assert grown == [100, 200, 400, 400, 800, 800, 800, 800, 1000, 1000]


def test_the_generation_tells_when_addresses_change() -> None:
    cache, seen = new(600), {}
    rows = []
    for columns in (100, 200, 1, 200, 99):
        rows.append(cache.take(columns))
        addresses = [pool.data_ptr() for pool in pools(cache)]
        assert seen.setdefault(cache.generation, addresses) == addresses
    assert len(seen) == 3  # for 100, 300 and 600 columns
    cache.release(rows[0])
    cache.release(rows[2])
    cache.take(101)  # moves what is in the pools, not the pools
    assert seen[cache.generation] == [pool.data_ptr() for pool in pools(cache)]


def test_more_than_is_free_is_refused() -> None:
    cache = new(10)
    cache.take(4)
    with pytest.raises(AssertionError, match="7 columns of 6 free ones"):
        cache.take(7)


class Limited:
    """`Tensor.new_empty`, of a device that has memory for so many columns of one pool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int, after: int, error: type[Exception]):
        self.columns, self.after, self.error, self.calls = columns, after, error, 0
        self.true = torch.Tensor.new_empty
        monkeypatch.setattr(torch.Tensor, "new_empty", lambda pool, shape: self(pool, shape))

    def __call__(self, pool: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        self.calls += shape[0] > self.columns
        if shape[0] > self.columns and self.calls > self.after:
            raise self.error("can't allocate memory")
        return self.true(pool, shape)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_without_memory_the_budget_is_what_there_is(
    monkeypatch: pytest.MonkeyPatch, after: int, error: type[Exception]
) -> None:
    cache = new()
    extent = cache.take(100)
    held = {extent: write(cache, extent, 0)}
    Limited(monkeypatch, 150, after, error)
    with pytest.raises(torch.OutOfMemoryError, match="can't allocate memory"):
        cache.take(100)
    assert (cache.columns, cache.capacity, cache.free) == (100, 100, 0)
    check(cache, held)
    cache.release(extent)
    assert cache.take(100).start == 0


def test_where_twice_as_much_does_not_fit_what_is_needed_may(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = new()
    extent = cache.take(100)
    held = {extent: write(cache, extent, 0)}
    Limited(monkeypatch, 150, 3, torch.OutOfMemoryError)
    other = cache.take(50)
    assert (cache.columns, cache.capacity) == (BUDGET, 150)
    check(cache, held | {other: write(cache, other, 1)})


@pytest.mark.parametrize("inside", [False, True])
def test_columns_may_be_taken_and_written_in_any_mode(inside: bool) -> None:
    cache = new()
    with torch.inference_mode(inside):
        first = cache.take(10)
        write(cache, first, 0)
    write(cache, cache.take(300), 1)
