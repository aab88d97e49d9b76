"""Block steps as graphs: what is captured, when, what is copied, and what happens where it fails."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch

from llada_runtime import KVCache, Network
from llada_runtime.network.cache import Extent
from llada_runtime.network.graphs import Graphed, graphed
from llada_runtime.network.layout import Layout, Span
from llada_runtime.testing import FakeNetwork, check_network
from tests.runtime.packing import filled_cache, full
from tests.support.graphing import AsCaptured, FakeGraphs, small

pytestmark = pytest.mark.usefixtures("ragged")

LENGTHS = [24, 17, 20]


@pytest.fixture
def network(plain: AsCaptured, graphs: FakeGraphs) -> Graphed:
    return Graphed(plain, record=graphs, after=1)


def step(extent: Extent, lo: int, *, seed: int = 0, width: int = 4, **given: Any) -> Span:
    ids = random.Random(seed).choices(range(29), k=width)
    head = {"head_lo": lo, "head_hi": lo + width, **given}
    return Span(ids=ids, lo=lo, hi=lo + width, length=extent.length, extent=extent, reads=True, **head)


def laid_out(network: Network, *spans: Span, previous: Layout | None = None) -> Layout:
    return Layout.of(spans, device=network.device, merge=network.merges, previous=previous)


def agree(network: Graphed, cache: KVCache, *spans: Span) -> torch.Tensor:
    """The logits, once it is checked that they are those of the plain network."""
    wanted = network.network.logits(laid_out(network, *spans), cache)
    found = network.logits(laid_out(network, *spans), cache)
    assert torch.equal(found, wanted)
    return found


def test_what_is_rare_is_not_captured(plain: AsCaptured, graphs: FakeGraphs) -> None:
    network = Graphed(plain, record=graphs, after=3)
    first, extents = filled_cache(plain, LENGTHS)
    for width in (1, 2, 1, 2, 1):
        agree(network, first, step(extents[0], 8, width=width))
    assert graphs.captured == 0
    agree(network, first, step(extents[0], 8, width=1))
    assert graphs.captured == 1
    second, extents = filled_cache(plain, LENGTHS)
    agree(network, second, step(extents[0], 8, width=1))  # it is known to be worth it by now
    assert graphs.captured == 2


def test_a_step_is_captured_when_it_is_met_again(network: Graphed, graphs: FakeGraphs) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    for seed, counts in enumerate([(0, 0), (1, 1), (1, 2), (1, 3)]):
        agree(network, cache, *(step(extent, 8, seed=seed) for extent in extents))
        assert (graphs.captured, graphs.replayed) == counts
        assert (network.replays, network.capture_problem) == (graphs.replayed, None)


def test_one_graph_serves_rows_anywhere_that_differ_in_no_number(
    network: Graphed, graphs: FakeGraphs
) -> None:
    cache, extents = filled_cache(network.network, [24, 17, 20, 23, 31])
    for seed in range(12):
        rows = random.Random(seed).sample(extents, 3)
        agree(network, cache, *(step(extent, seed % 9, seed=seed) for extent in rows))
    assert (graphs.captured, graphs.replayed) == (1, 11)


def test_within_a_block_the_layout_that_is_used_again_stays_as_it_is(network: Graphed) -> None:
    """A graph's tensors are its own: what a loop holds on to is not written."""
    cache, extents = filled_cache(network.network, LENGTHS)
    first = laid_out(network, *(step(extent, 4) for extent in extents))
    held = [tensor.clone() for tensor in first.indices]
    last = first
    for seed in range(1, 4):
        last = laid_out(network, *(step(extent, 4, seed=seed) for extent in extents), previous=last)
        network.logits(last, cache)
        agree(network, cache, *(step(extent, 9, seed=seed) for extent in extents))
    assert all(torch.equal(*pair) for pair in zip(first.indices, held, strict=True))
    assert last.positions is first.positions


def test_logits_stay_as_they_were_returned(network: Graphed) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    kept = [agree(network, cache, step(extents[0], 8, seed=seed)) for seed in range(4)]
    for seed, logits in enumerate(kept):
        layout = laid_out(network, step(extents[0], 8, seed=seed))
        assert torch.equal(network.network.logits(layout, cache), logits)


def test_what_is_expected_is_only_replayed_and_what_comes_instead_is_itself(
    network: Graphed, graphs: FakeGraphs
) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    first, other, third = (laid_out(network, step(extents[0], 8, seed=seed)) for seed in range(3))
    network.expect(first, cache)  # nothing yet that could
    for _ in range(2):
        network.logits(first, cache)
    (graph,) = network._graphs.values()
    network.expect(other, cache)
    taken = [tensor.data_ptr() for tensor in graph.held]
    assert taken == [tensor.data_ptr() for tensor in other.indices]
    assert torch.equal(graph.reads[0], other.ids)
    assert graphs.replayed == 1
    for layout in (other, third, first):
        assert torch.equal(network.logits(layout, cache), network.network.logits(layout, cache))
    network.expect(other, None)
    network.expect(laid_out(network, step(extents[0], 8, width=2)), cache)  # there is no graph of it
    assert torch.equal(graph.reads[0], first.ids)
    assert graphs.captured == 1


class Peaks:
    """A reduction, which counts how often it is run."""

    runs = 0

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return logits.amax(-1)


def test_what_is_made_of_logits_is_a_part_of_the_graph(network: Graphed, graphs: FakeGraphs) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    peaks, kept = Peaks(), []
    for seed in range(4):
        span = step(extents[0], 8, seed=seed)
        wanted = agree(network, cache, span).amax(-1)
        kept.append((network.reduced(laid_out(network, span), cache, peaks), wanted))
    assert (graphs.captured, graphs.replayed) == (2, 2 * 3)
    assert peaks.runs == 4
    assert all(torch.equal(*pair) for pair in kept)  # each is the caller's own


def test_each_reduction_has_a_graph_of_its_own(network: Graphed, graphs: FakeGraphs) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    layout = laid_out(network, step(extents[0], 8))
    for reduction in (Peaks(), Peaks()):
        for _ in range(3):
            network.reduced(layout, cache, reduction)
    assert graphs.captured == 2


def test_what_is_not_captured_is_reduced_too(network: Graphed, graphs: FakeGraphs) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    layout = laid_out(network, full(24, extents[0]))
    wanted = network.network.logits(layout, cache).amax(-1)
    assert torch.equal(network.reduced(layout, cache, Peaks()), wanted)
    assert graphs.asked == 0


def others(extents: list[Extent]) -> Iterator[tuple[str, list[Span]]]:
    yield "refreshes", [full(24, extents[0]), full(17, extents[1])]
    yield "without a cache", [full(24)]
    yield "a refresh beside a step", [full(24, extents[0]), step(extents[1], 3)]
    yield "fed embeddings", [step(extents[0], 3, inputs=torch.ones(4, 16))]


@pytest.mark.parametrize("kind", range(4))
def test_only_steps_are_captured(network: Graphed, graphs: FakeGraphs, kind: int) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    _, spans = list(others(extents))[kind]
    for _ in range(3):
        agree(network, cache, *spans)
    assert graphs.asked == 0


def test_a_graph_serves_whole_forwards_of_rows_of_many_lengths(network: Graphed, graphs: FakeGraphs) -> None:
    """What it writes lies within each row's extent, and is what the plain network writes."""
    plain = network.network
    cache, extents = filled_cache(plain, LENGTHS)
    wanted = [[pool.clone() for pool in cache.layer(index)] for index in range(plain.shape.n_layers)]
    cache, extents = filled_cache(plain, LENGTHS)
    for index in range(plain.shape.n_layers):
        for extent, pool in product(extents, cache.layer(index)):
            pool[extent.start : extent.end] = torch.nan
    for extent in extents:
        span = full(extent.length, extent)
        one = plain.logits(Layout.of([span], device=plain.device, merge=False), cache)
        for _ in range(2):
            torch.testing.assert_close(network.logits(laid_out(network, span), cache), one)
    assert (graphs.captured, graphs.replayed) == (1, 5)
    for index in range(plain.shape.n_layers):
        for pool, same in zip(cache.layer(index), wanted[index], strict=True):
            for extent in extents:
                where = slice(extent.start, extent.end)
                torch.testing.assert_close(pool[where], same[where])


def test_a_wide_step_is_not_captured(
    network: Graphed, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_runtime.network.graphs._COLUMNS", 11)
    cache, extents = filled_cache(network.network, LENGTHS)
    for _ in range(3):
        agree(network, cache, *(step(extent, 8) for extent in extents))
        agree(network, cache, *(step(extent, 8) for extent in extents[:2]))
    assert graphs.captured == 1


def test_a_cache_that_has_grown_is_captured_anew(network: Graphed, graphs: FakeGraphs) -> None:
    plain = network.network
    cache = plain.new_cache(columns=4000)
    extents, key = [cache.take(24)], None
    for grown in range(1, 4):
        plain.logits(laid_out(plain, full(24, extents[0])), cache)
        for seed in range(3):
            agree(network, cache, step(extents[0], 8, seed=seed))
        assert graphs.captured == grown
        assert cache.graph_key != key
        key, generation = cache.graph_key, cache.generation
        extents.append(cache.take(cache.capacity))
        assert cache.generation > generation


def test_the_key_of_a_cache_stays_while_rows_come_and_go(plain: AsCaptured) -> None:
    cache = plain.new_cache(columns=40)
    first, second = cache.take(10), cache.take(15)
    cache.release(second)
    cache.release(cache.take(10))
    key = cache.graph_key
    cache.release(first)
    cache.take(16)
    assert cache.graph_key == key
    assert cache.graph_key != plain.new_cache(columns=40).graph_key


def test_two_caches_take_turns(network: Graphed, graphs: FakeGraphs) -> None:
    both = [filled_cache(network.network, LENGTHS), filled_cache(network.network, [20, 24, 17])]
    for seed in range(4):
        for cache, extents in both:
            agree(network, cache, *(step(extent, seed + 2, seed=seed) for extent in extents))
    assert (graphs.captured, graphs.replayed) == (2, 7)


def test_those_used_last_are_kept(plain: AsCaptured, graphs: FakeGraphs) -> None:
    network = Graphed(plain, record=graphs, most=2, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    for width in (1, 1, 2, 2, 1, 3, 3, 1):
        agree(network, cache, step(extents[0], 8, width=width))
    assert graphs.captured == 3  # the third took the place of the second
    agree(network, cache, step(extents[0], 8, width=2))
    assert graphs.captured == 4


@pytest.mark.parametrize(
    "failure", [torch.OutOfMemoryError("full"), RuntimeError("operation not permitted when capturing")]
)
def test_where_a_capture_fails_all_goes_on_without(plain: AsCaptured, failure: Exception) -> None:
    graphs = FakeGraphs(failure)
    network = Graphed(plain, record=graphs, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    agree(network, cache, step(extents[0], 8))
    with pytest.warns(RuntimeWarning, match=rf"{failure}.*kernel by kernel from now on; set LLADA_GRAPHS=0"):
        agree(network, cache, step(extents[0], 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width in (4, 5, 5):
            agree(network, cache, step(extents[0], 8, width=width))
    assert graphs.asked == 1
    assert network.replays == 0
    assert str(failure) in str(network.capture_problem)


class Crowded(AsCaptured):
    """Has no memory for refreshes, ``shortages`` times."""

    shortages = 0

    def logits(self, layout: Layout, cache: KVCache | None) -> torch.Tensor:
        if self.shortages and not layout.form.places[0].reads:
            self.shortages -= 1
            raise torch.OutOfMemoryError("full")
        return super().logits(layout, cache)


def crowded(graphs: FakeGraphs, *, captured: int) -> tuple[Graphed, Crowded, KVCache, list[Extent]]:
    plain = small(kind=Crowded)
    network = Graphed(plain, record=graphs, most=4, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    for width in range(1, captured + 1):
        for _ in range(2):
            agree(network, cache, step(extents[0], 8, width=width))
    return network, plain, cache, extents


def test_graphs_give_way_where_memory_runs_out(graphs: FakeGraphs) -> None:
    network, plain, cache, extents = crowded(graphs, captured=4)
    plain.shortages = 1
    with pytest.warns(RuntimeWarning, match=r"beside 4 CUDA graphs.*at most 2 are kept from now on"):
        network.logits(laid_out(network, full(24, extents[0])), cache)
    for width in (1, 2, 3, 1, 2, 3):
        agree(network, cache, step(extents[0], 8, width=width))
    assert len(network._graphs) == 2


def test_that_there_is_no_memory_is_raised(graphs: FakeGraphs) -> None:
    network, plain, cache, extents = crowded(graphs, captured=0)
    plain.shortages = 1
    with pytest.raises(torch.OutOfMemoryError):  # there is nothing that could give way
        network.logits(laid_out(network, full(24, extents[0])), cache)
    network, plain, cache, extents = crowded(graphs, captured=1)
    plain.shortages = 2
    with pytest.warns(RuntimeWarning, match="ran out"), pytest.raises(torch.OutOfMemoryError):
        network.logits(laid_out(network, full(24, extents[0])), cache)


def test_it_is_a_network_with_the_attributes_of_the_one_inside(network: Graphed, plain: AsCaptured) -> None:
    assert check_network(network)
    assert (network.config, network.device, network.merges) == (plain.config, plain.device, plain.merges)
    assert (network.dtype, network.shape) == (plain.dtype, plain.shape)
    with pytest.raises(AttributeError, match="bogus"):
        _ = network.bogus


def test_only_networks_on_a_gpu_that_cache_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu, on_gpu = FakeNetwork.random(), FakeNetwork.random()
    on_gpu.device = torch.device("cuda")
    assert graphed(on_cpu) is on_cpu
    wrapped = graphed(on_gpu)
    assert isinstance(wrapped, Graphed)
    assert wrapped.network is on_gpu
    monkeypatch.setenv("LLADA_GRAPHS", "0")
    assert graphed(on_gpu) is on_gpu
    monkeypatch.setenv("LLADA_GRAPHS", "1")
    on_gpu.caches = False
    assert graphed(on_gpu) is on_gpu


def strided(extent: Extent, lo: int, *, stride: int) -> Span:
    """Two strides, against what is before them."""
    return step(extent, lo, width=2 * stride, stride=stride, head_lo=lo + stride, head_hi=lo + 2 * stride)


def test_a_step_under_a_mask_is_not_captured_and_one_of_wide_strides_needs_none(
    network: Graphed, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, extents = filled_cache(network.network, LENGTHS)
    assert laid_out(network, strided(extents[0], 4, stride=2)).masked
    for lo in (4, 8, 12, 16):
        agree(network, cache, strided(extents[0], lo, stride=2))
    assert graphs.asked == 0
    monkeypatch.setattr("llada_runtime.network.sight._WIDE", 2)
    for lo in (4, 8, 12, 16):
        agree(network, cache, strided(extents[0], lo, stride=2))
    assert (graphs.captured, graphs.replayed) == (1, 3)  # wherever it stands


def test_what_is_met_later_does_not_put_out_what_was_prepared(plain: AsCaptured, graphs: FakeGraphs) -> None:
    network = Graphed(plain, record=graphs, most=2, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    for width in (1, 2, 3):
        network.prepare(laid_out(network, step(extents[0], 8, width=width)), cache)
    for width in (5, 5, 6, 6):
        agree(network, cache, step(extents[0], 8, width=width))
    assert graphs.captured == 5
    for width in (1, 2, 3):
        agree(network, cache, step(extents[0], 8, width=width))
    assert (graphs.captured, len(network._graphs)) == (5, 5)
    network.let_go()
    for width in (1, 1, 2, 2, 3, 3):
        agree(network, cache, step(extents[0], 8, width=width))
    assert len(network._graphs) == 2


def test_a_network_says_up_to_how_many_columns_a_graph_saves_time(
    plain: AsCaptured, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AsCaptured, "most_captured", 7)
    network = Graphed(plain, record=graphs, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    for width in (7, 8):
        network.prepare(laid_out(network, step(extents[0], 8, width=width)), cache)
        agree(network, cache, step(extents[0], 8, width=width))
    assert (graphs.captured, graphs.replayed) == (1, 1)
