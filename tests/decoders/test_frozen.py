"""A dual cache that is refreshed in part: which columns its forwards compute, and when they are launched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llada_decoders.frozen import FrozenCache
from llada_decoders.horizon import Horizon
from llada_runtime import DualCache, LLaDAModel, Loop, Policy, Quota, Sequence, Threshold, drain
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.network import likeliest
from llada_runtime.reference import follow
from llada_runtime.testing import FakeNetwork, small_llada
from tests.support.likeliest import plain_likeliest

pytestmark = pytest.mark.alone


def row(network: Any, policy: Policy, **given: Any) -> Sequence:
    asked = {"gen_length": 12, "block_length": 4, "early_stop": False, "rule": Quota(2), **given}
    return Sequence([1, 2, 3], network.config, policy=policy, **asked)


def refreshes(policy: Policy) -> list[tuple[int, int]]:
    """The columns that the first forward of each of three blocks computes; each has two."""
    network = FakeNetwork.random()
    list(drain(network, [row(network, policy)], rows=1))
    columns = [only for (only,) in network.forwards]
    assert columns[1::2] == [(3, 7), (7, 11), (11, 15)]
    return columns[::2]


@pytest.mark.parametrize(
    ("back", "ahead", "later"),
    [
        (None, None, [(3, 15), (3, 15)]),
        (4, 0, [(3, 11), (7, 15)]),
        (0, 2, [(7, 13), (11, 15)]),
        (9, None, [(3, 15), (3, 15)]),
        (0, 0, [(7, 11), (11, 15)]),
    ],
)
def test_only_what_is_near_the_block_is_refreshed(
    back: int | None, ahead: int | None, later: list[tuple[int, int]]
) -> None:
    assert refreshes(FrozenCache(back, ahead)) == [(0, 15), *later]


def test_every_so_many_blocks_all_is_computed_again() -> None:
    assert refreshes(FrozenCache(0, 0, every=2)) == [(0, 15), (7, 11), (0, 15)]
    assert refreshes(FrozenCache(0, 0, every=3)) == [(0, 15), (7, 11), (11, 15)]
    assert refreshes(Horizon(FrozenCache(0, 0, every=2), 2, far=False)) == [(0, 9), (7, 13), (0, 15)]


def test_all_anew_with_every_block_is_a_dual_cache() -> None:
    model = small_llada(scale=0.4)
    frozen, dual = row(model, FrozenCache(0, 0, every=1)), row(model, DualCache())
    list(drain(model, [frozen, dual], rows=2))
    assert (frozen.canvas, frozen.nfe, frozen.computed) == (dual.canvas, dual.nfe, dual.computed)


def test_what_a_window_comes_to_reach_is_computed_too() -> None:
    assert refreshes(Horizon(FrozenCache(1, 0), 2, far=False)) == [(0, 9), (6, 13), (10, 15)]
    assert refreshes(Horizon(FrozenCache(1, 0), 5, far=False)) == [(0, 12), (6, 15), (10, 15)]  # to the end


def test_all_but_the_prompt_anew_is_nearly_a_dual_cache() -> None:
    """Its first block is that of the dual cache, column by column."""
    model = small_llada(scale=0.4)
    frozen, dual = row(model, FrozenCache(None, None), gen_length=4), row(model, DualCache(), gen_length=4)
    list(drain(model, [frozen, dual], rows=2))
    assert frozen.canvas == dual.canvas


@pytest.mark.parametrize("rule", [Quota(2), Threshold(0.9)], ids=lambda rule: type(rule).__name__)
def test_steps_are_launched_ahead(monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    """And what is launched and not used, as another row leaves, changes nothing of what is cached."""
    model: LLaDAModel = small_llada(scale=0.4, max_sequence_length=64)

    def rows() -> list[Sequence]:
        return [
            row(model, FrozenCache(back, 0), gen_length=4 * n, rule=rule)
            for n, back in ((5, 0), (2, 3), (3, 0))
        ]

    alone = [follow(model, each) for each in rows()]
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    launched = []
    launch = Ahead.launch
    monkeypatch.setattr(Ahead, "launch", lambda ahead, *given: launched.append(1) or launch(ahead, *given))
    together, loop = rows(), Loop(model, rows=3)
    assert all(map(loop.admit, together))
    while loop.active:
        loop.step()
    assert [(each.canvas, each.nfe) for each in together] == alone
    assert launched


@pytest.mark.parametrize("ahead", [0, 1, None])
def test_until_a_window_reaches_the_end_a_refresh_goes_to_its_end(ahead: int | None) -> None:
    assert refreshes(Horizon(FrozenCache(0, ahead), 2, far=False)) == [(0, 9), (7, 13), (11, 15)]
