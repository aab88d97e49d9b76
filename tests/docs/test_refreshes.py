"""The benchmark of dual caches that refresh less: its policies are what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_runtime import Sequence, drain
from llada_runtime.testing import FakeNetwork
from tests.support.programs import programs

PROMPT = 64


@pytest.fixture(scope="module")
def policies() -> Iterator[SimpleNamespace]:
    with programs("decoder_settings", "refresh_policies") as loaded:
        yield loaded.refresh_policies


def decoded(setting: Any) -> Sequence:
    """A row of four blocks, 16 tokens a step."""
    algorithm: Any = llada_core.get_algorithm(setting.algorithm)
    network = FakeNetwork.random()
    params = algorithm.validate_args(gen_length=128, block_length=32, early_stop=False, **setting.parameters)
    row: Sequence = algorithm.sequence(network, [1] * PROMPT, params)
    assert all(step.error is None for step in drain(network, [row], rows=1))
    return row


def test_all_policies_run_as_many_forwards_and_compute_less_than_a_dual_cache(policies: Any) -> None:
    rows = {name: decoded(policies.composed(name, steps=8)) for name in policies.POLICIES}
    assert {row.nfe for row in rows.values()} == {8}
    dual = rows.pop(policies.DUAL).computed
    assert (dual.whole, dual.columns) == (4, 4 * (PROMPT + 128) + 4 * 32)
    assert all(row.computed.columns < dual.columns for row in rows.values())
    assert all(row.computed.whole == 1 for name, row in rows.items() if not name.startswith(policies.DUAL))


def test_what_is_refreshed_follows_from_the_name(policies: Any) -> None:
    """The first forward, three refreshes of so many columns, and four steps."""
    for name, first, refreshed in (
        ("prompt frozen", PROMPT + 128, 3 * 128),
        ("last block", PROMPT + 128, 3 * 64),
        ("block + 32", PROMPT + 128, 64 + 64 + 32),
        ("last block + 32", PROMPT + 128, 96 + 96 + 64),
        ("last block, pruned", PROMPT + 64, 96 + 96 + 64),
        ("block + 32, pruned", PROMPT + 64, 64 + 64 + 32),
    ):
        columns = decoded(policies.composed(name, steps=8)).computed.columns
        assert columns == first + refreshed + 4 * 32, name


def test_policies_have_thresholds_too(policies: Any) -> None:
    for name in policies.POLICIES:
        setting = policies.composed(name, threshold=0.9)
        assert (
            llada_core.get_algorithm(setting.algorithm).validate_args(**setting.parameters)["threshold"]
            == 0.9
        )
