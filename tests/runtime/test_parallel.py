"""A network on ranks computes what it computes whole, and its ranks stay alike whatever rows come and go."""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import torch
from torch import Tensor

from llada_core import GenerationError, UsageError
from llada_runtime import DualCache, LLaDAModel, Loop, NoCache, Plan, PrefixCache, Sequence, Threshold
from llada_runtime.network.calls import Merge
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Form, Layout, Span
from llada_runtime.network.parallel.messages import message_of, read_message
from llada_runtime.network.parallel.room import has_room
from llada_runtime.network.spans import Place
from llada_runtime.network.step_path import step_path
from llada_runtime.testing import MASK, check_network, small_llada
from tests.support.graphing import FakeGraphs
from tests.support.ranks import on_ranks

IDS = [3, MASK, 7, MASK, 1, MASK]
CAPTURED = "tests.support.graphing:AsCaptured"


def whole(network: Any, ids: list[int] = IDS) -> Tensor:
    span = Span(ids=ids, lo=0, hi=len(ids), length=len(ids), head_lo=1, head_hi=len(ids))
    return network.logits(Layout.of([span], device=network.device, merge=network.merges), None)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_those_of_one_device_but_for_the_order_of_sums(
    write_checkpoint: Callable[..., Path], size: int, tied: bool
) -> None:
    folder = write_checkpoint({"n_kv_heads": 4, "weight_tying": tied})
    expected = whole(LLaDAModel.from_pretrained(folder, device="cpu"))
    with on_ranks(folder, size=size) as (network, _):
        found = whole(network)
        assert network.tensor_parallel == size
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found, whole(network), rtol=0, atol=0)


def test_it_is_a_network_like_others(write_checkpoint: Callable[..., Path]) -> None:
    with on_ranks(write_checkpoint()) as (network, _):
        check_network(network)
        assert step_path(network).endswith("on each of 2 ranks")


def decoded(network: Any, *, columns: int) -> list[list[int]]:
    """Rows of all policies that come and go in a loop with little room, and one that fails."""
    source, loop = random.Random(5), Loop(network, rows=6, columns=columns)
    waiting = []
    for row in range(20):
        prompt = [source.randrange(1, 20) for _ in range(source.randint(1, 9))]
        policy = (NoCache(), PrefixCache(), DualCache(), Failing())[row % 4]
        sequence = Sequence(
            prompt, network.config, gen_length=source.randint(4, 20), block_length=5,
            policy=policy, rule=Threshold(0.9), early_stop=False,
        )  # fmt: skip
        waiting.append(sequence)
    rows, failed = list(waiting), 0
    while waiting or loop.active:
        while waiting and loop.admit(waiting[0]):
            waiting.pop(0)
        failed += sum(step.error is not None for step in loop.step())
    assert failed == 5
    return [list(sequence.canvas) for sequence in rows]


class Failing(DualCache):
    """Fails at its second step."""

    def plan(self, sequence: Sequence) -> Plan:
        if sequence.nfe:
            raise ZeroDivisionError("the second step")
        return super().plan(sequence)


def test_rows_that_come_and_go_are_those_of_one_device(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_runtime.network.cache._STAGED", 3)
    folder = write_checkpoint()
    expected = decoded(LLaDAModel.from_pretrained(folder, device="cpu"), columns=70)
    with on_ranks(folder) as (network, (_, other)):
        made = []
        new_cache = other.new_cache
        monkeypatch.setattr(other, "new_cache", lambda **room: made.append(new_cache(**room)) or made[-1])
        moved = []
        monkeypatch.setattr(type(network), "_move", _counted(type(network)._move, moved))
        assert decoded(network, columns=70) == expected
        assert moved, "extents are to be moved together in this test"
        assert [cache.capacity for cache in made] == [0]  # it is told how much, and holds no extents
        assert len(made[0].layer(0)[0]) == 70
        held = ref(made.pop())
        gc.collect()
        network.affordable_columns()  # by then the other rank knows that the cache is gone
        assert held() is None


def _counted(method: Callable[..., None], calls: list[Any]) -> Callable[..., None]:
    def counting(self: Any, *args: Any) -> None:
        calls.append(len(args))
        method(self, *args)

    return counting


def test_all_ranks_capture_and_replay_the_same_steps(write_checkpoint: Callable[..., Path]) -> None:
    folder, made = write_checkpoint(), []

    def captured(network: Any) -> Graphed:
        network._merges = Merge.EQUAL
        made.append(FakeGraphs())
        return Graphed(network, record=made[-1], after=1, alone=False)

    plain = LLaDAModel.from_pretrained(folder, device="cpu")
    plain._merges = Merge.EQUAL
    expected = decoded(plain, columns=70)
    with on_ranks(folder, target=CAPTURED, wrapped=captured) as (network, _):
        for _ in range(2):
            assert decoded(network, columns=70) == expected
        first, second = made
        assert first.captured == second.captured > 0
        assert first.replayed == second.replayed == network.replays > 0
        assert network.capture_problem is None


def test_embeddings_that_are_fed_reach_every_rank(write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint()

    def fed(network: Any, width: int = 16) -> Tensor:
        span = Span(
            ids=IDS, lo=0, hi=6, length=6, head_lo=0, head_hi=6,
            inputs=torch.linspace(-1, 1, 6 * width).view(6, width),
        )  # fmt: skip
        return network.logits(Layout.of([span], device=network.device, merge=network.merges), None)

    expected = fed(LLaDAModel.from_pretrained(folder, device="cpu"))
    with on_ranks(folder) as (network, _):
        torch.testing.assert_close(fed(network), expected, rtol=1e-5, atol=1e-5)
        with pytest.raises(UsageError, match=r"shape \[6, 15\] are fed; give \[columns, 16\]"):
            fed(network, 15)
        torch.testing.assert_close(fed(network), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("who", [0, 1])
def test_memory_that_one_rank_lacks_for_a_cache_is_lacking(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, who: int
) -> None:
    with on_ranks(write_checkpoint()) as (network, networks):
        new_cache = networks[who].new_cache

        def scarce(*, columns: int) -> Any:
            cache = new_cache(columns=columns)
            resize = cache.resize

            def limited(capacity: int, used: int) -> None:
                if capacity > 20:
                    raise torch.OutOfMemoryError(f"no room for {capacity}")
                resize(capacity, used)

            cache.resize = limited
            return cache

        monkeypatch.setattr(networks[who], "new_cache", scarce)
        cache = network.new_cache(columns=100)
        cache.take(12)
        with pytest.raises(torch.OutOfMemoryError):
            cache.take(12)
        assert (cache.columns, cache.capacity) == (12, 12)
        assert len(whole(network)) == 5  # nothing else is lost


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_forward_that_one_rank_has_no_memory_for_is_run_with_fewer_rows(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    folder, refused = write_checkpoint(), []

    def scarce(network: Any, columns: int, head_columns: int) -> bool:
        refused.extend([columns] if columns > 30 else [])
        return columns <= 30

    expected = decoded(LLaDAModel.from_pretrained(folder, device="cpu"), columns=70)
    monkeypatch.setattr(f"llada_runtime.network.parallel.{who}.has_room", scarce)
    with on_ranks(folder) as (network, _):
        assert decoded(network, columns=70) == expected
    assert refused


def test_what_no_memory_holds_is_told_by_trying() -> None:
    network = small_llada()
    assert has_room(network, 1000, 10)
    assert not has_room(network, 1 << 50, 1)


@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_fails_ends_the_model_and_says_why(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, who: int
) -> None:
    with on_ranks(write_checkpoint()) as (network, networks):
        whole(network)

        def full(*args: Any) -> Any:
            raise torch.OutOfMemoryError("no memory left")

        monkeypatch.setattr(networks[who], "logits", full)
        for _ in range(2):
            with pytest.raises(GenerationError) as told:
                whole(network)
            assert str(told.value).startswith(f"rank {who} of 2 has ")
            assert "OutOfMemoryError: no memory left" in str(told.value)
            assert str(told.value).endswith("; load the model again")


def test_a_rows_logits_are_the_same_alone_and_among_others(write_checkpoint: Callable[..., Path]) -> None:
    rows = [[1, 2, 3, MASK, 5], IDS, [9] * 17]
    spans = [Span(ids=ids, lo=0, hi=len(ids), length=len(ids), head_lo=1, head_hi=len(ids)) for ids in rows]
    with on_ranks(write_checkpoint()) as (network, _):
        together = network.logits(Layout.of(spans, device=network.device, merge=network.merges), None)
        assert torch.equal(together, torch.cat([whole(network, ids) for ids in rows]))


@pytest.mark.usefixtures("ending_signals")
def test_ctrl_c_waits_until_all_ranks_have_run_a_forward(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_ranks(write_checkpoint()) as (network, networks):
        expected, logits = whole(network), networks[0].logits
        with monkeypatch.context() as patched:
            patched.setattr(networks[0], "logits", lambda *given: _interrupted(lambda: logits(*given)))
            with pytest.raises(KeyboardInterrupt):
                whole(network)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert torch.equal(whole(network), expected)


def _interrupted(work: Callable[[], Tensor]) -> Tensor:
    os.kill(os.getpid(), signal.SIGINT)
    return work()


def test_what_is_closed_is_refused(write_checkpoint: Callable[..., Path]) -> None:
    with on_ranks(write_checkpoint()) as (network, _):
        network.close()
        network.close()
        with pytest.raises(UsageError, match="this model is closed"):
            whole(network)
        with pytest.raises(UsageError, match="this model is closed"):
            network.new_cache(columns=3)


PLACES = (
    Place(0, 6, 6, 1, 5, None, False, None),
    Place(2, 4, 9, 2, 4, 17, True, 1),
    Place(0, 3, 3, 0, 3, 0, False, 4),
    Place(0, 8, 8, 2, 5, None, False, None, (2, 5)),
    Place(2, 4, 4, 2, 3, 17, True, None, None, 11, True),
)


def test_a_message_says_how_a_forward_is_laid_out() -> None:
    form = Form.of(PLACES, Merge.RAGGED)
    ids = torch.zeros(form.columns, dtype=torch.int64)
    layout = Layout.at(form, ids=ids, inputs=((2, torch.zeros(3, 4)),))
    told = read_message(message_of(layout, cache=7, last=None))
    assert (told.cache, told.form, told.inputs) == (7, form, ((2, 3),))
    assert told.form is not None
    assert (told.form.order, told.form.ranges, told.form.head_columns) == (
        form.order, form.ranges, form.head_columns,
    )  # fmt: skip
    again = message_of(layout, cache=None, last=form)
    assert len(again) == 4  # within a block a step says next to nothing
    assert read_message(again) == (None, None, ((2, 3),))
