"""Steps captured before a request needs them, on memory that caches use one after the other."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llada_core.errors import UsageError
from llada_core.progress import telling
from llada_runtime import DualCache, KVCache, Loop, Reading, Sequence, Threshold
from llada_runtime.decoding import glance
from llada_runtime.network import likeliest, warmup
from llada_runtime.network.calls import Merge
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.warmup import warm_up
from tests.support.graphing import AsCaptured, FakeGraphs
from tests.support.likeliest import plain_likeliest

pytestmark = pytest.mark.usefixtures("ragged")


@pytest.fixture
def network(plain: AsCaptured, graphs: FakeGraphs) -> Graphed:
    return Graphed(plain, record=graphs)


def row(network: Any, seed: int = 1) -> Sequence:
    return Sequence(
        range(seed, seed + 7), network.config, gen_length=16, block_length=8, policy=DualCache(),
        rule=Threshold(1.0), early_stop=False,
    )  # fmt: skip


def decoded(network: Any, count: int = 1) -> list[list[int]]:
    rows, loop = [row(network, seed) for seed in range(1, count + 1)], Loop(network, rows=count)
    for each in rows:
        assert loop.admit(each)
    while loop.active:
        loop.step()
    return [each.canvas for each in rows]


def test_what_is_warm_is_not_captured_in_a_request(
    network: Graphed, plain: AsCaptured, graphs: FakeGraphs
) -> None:
    told: list[tuple[int, int]] = []
    seconds = warm_up(network, rows=(1, 2), widths=(8, 4), told=lambda *each: told.append(each))
    assert seconds is not None
    assert told == [(done, 6) for done in range(7)]  # of steps four, of whole forwards two
    assert graphs.captured == 6
    for count in (1, 2, 1):
        assert decoded(network, count) == decoded(plain, count)
        gc.collect()
    assert graphs.captured == 6
    assert graphs.replayed == 3 * 16 - 2  # all but the two refreshes of two rows


def test_with_kernels_both_logits_and_what_is_likeliest_are_captured(
    network: Graphed, plain: AsCaptured, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = decoded(plain)
    for module in (warmup, glance):
        monkeypatch.setattr(module, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    warm_up(network, widths=(8,))
    assert graphs.captured == 3  # of whole forwards, what decoding asks for
    assert decoded(network) == wanted
    assert (graphs.captured, graphs.replayed) == (3, 16)


def test_who_listens_is_told(network: Graphed) -> None:
    heard: list[tuple[int, int]] = []
    with telling(lambda *each: heard.append(each)):
        warm_up(network, widths=(8, 4))
    assert heard == [(done, 4) for done in range(5)]
    with telling(lambda *each: pytest.fail("somebody else was named")):
        warm_up(network, rows=(2,), widths=(8,), told=lambda *each: heard.append(each))
    assert heard[5:] == [(0, 2), (1, 2), (2, 2)]


class Config:
    """The config of a network whose decoders have other forwards than LLaDA's."""

    def __init__(self, inner: Any, **told: Any) -> None:
        self.inner = inner
        self.__dict__ |= told

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_network_says_which_forwards_it_has(
    network: Graphed, plain: AsCaptured, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, seen = plain.config, list[tuple[int, int]]()
    prepare = Graphed.prepare

    def noted(self: Graphed, layout: Any, *rest: Any) -> None:
        seen.append((layout.form.columns, layout.form.head_columns))
        prepare(self, layout, *rest)

    monkeypatch.setattr(Graphed, "prepare", noted)
    monkeypatch.setattr(plain, "reading", Reading(attention="blocks"), raising=False)
    plain.config = Config(inner, step_widths=(4,))
    warm_up(network)
    assert seen == [(4, 4)]
    monkeypatch.setattr(plain, "reading", Reading(shift=1))
    plain.config = Config(inner, step_widths=(8,), whole_widths=(1,))
    warm_up(network, columns=128)
    assert seen[1:] == [(8, 7), (64, 1), (128, 1)]
    assert graphs.captured == 4


def test_what_takes_longer_as_a_graph_is_not_captured(
    network: Graphed, graphs: FakeGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AsCaptured, "most_captured", 64)
    told: list[tuple[int, int]] = []
    warm_up(Graphed(network.network, record=graphs), rows=(1, 4), widths=(8, 32), columns=200,
            told=lambda *each: told.append(each))  # fmt: skip
    assert told[-1] == (5, 5)  # steps of 8, 32 and 4 times 8 columns, whole forwards of 64 with two heads
    assert graphs.captured == 5


def test_a_second_warm_up_captures_what_is_new(network: Graphed, graphs: FakeGraphs) -> None:
    warm_up(network, widths=(8,))
    assert graphs.captured == 2
    warm_up(network, rows=(1, 2), widths=(8,))
    assert graphs.captured == 3


def test_caches_have_the_reserved_memory_one_after_the_other(network: Graphed) -> None:
    warm_up(network, widths=(4,), columns=64)
    first, second = network.new_cache(columns=500), network.new_cache(columns=500)
    assert (first.capacity, second.capacity) == (64, 0)
    assert first.graph_key != second.graph_key
    key = first.graph_key
    del first
    third = network.new_cache(columns=500)
    assert third.graph_key == key
    third.take(100)  # more than is reserved
    assert third.graph_key != key
    del third
    assert network.new_cache(columns=500).graph_key == key


def test_what_is_reserved_counts_as_free_until_somebody_has_it(network: Graphed, plain: AsCaptured) -> None:
    plain.affordable_columns = lambda: 1000  # type: ignore[method-assign]
    assert network.affordable_columns() == 1000
    warm_up(network, widths=(4,), columns=64)
    assert network.affordable_columns() == 1064
    cache = network.new_cache(columns=100)
    assert network.affordable_columns() == 1000
    assert cache.free == 100


def test_rows_that_run_are_not_written_over(network: Graphed) -> None:
    warm_up(network, widths=(4,))
    loop, sequence = Loop(network, rows=1), row(network)
    loop.admit(sequence)
    with pytest.raises(UsageError, match=r"23 columns of the reserved memory are in use; warm up before"):
        warm_up(network, widths=(8,))
    sequence.cancel()
    loop.step()
    assert warm_up(network, widths=(8,)) is not None


def test_without_memory_steps_are_captured_as_they_are_met(
    network: Graphed, plain: AsCaptured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(cache: KVCache, columns: int) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(KVCache, "reserve", full)
    assert warm_up(network) is None
    assert decoded(network) == decoded(plain)


def test_other_networks_are_left_alone(plain: AsCaptured, network: Graphed, graphs: FakeGraphs) -> None:
    assert warm_up(plain) is None
    plain._merges = Merge.EQUAL  # a graph would serve rows in one place only
    assert warm_up(network) is None
    assert graphs.captured == 0
