"""The benchmark of dual caches that refresh less: its policies are what it says of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_runtime import Sequence, drain
from llada_runtime.testing import FakeNetwork
from tests.support.programs import programs

PROMPT = 64


MODULES = (
    "counts",
    "outputs",
    "asking",
    "decoder_settings",
    "decoder_rows",
    "refresh_policies",
    "gpu_8b",
    "refreshes",
)
"""Each imports some before it."""


@pytest.fixture(scope="module")
def benchmark() -> Iterator[SimpleNamespace]:
    with programs(*MODULES) as loaded:
        yield loaded


@pytest.fixture
def policies(benchmark: Any) -> Any:
    return benchmark.refresh_policies


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
    whole = {name: row.computed.whole for name, row in rows.items() if not name.startswith(policies.DUAL)}
    assert whole == {name: 2 if "every 2" in name else 1 for name in whole}


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


def test_every_policy_is_compared_with_the_dual_cache_whichever_are_named(
    benchmark: Any, policies: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = benchmark.refreshes
    monkeypatch.setattr(program, "loaded", lambda _: None)
    monkeypatch.setattr(program, "questions", lambda *_: [])
    monkeypatch.setattr(program, "_row", lambda model, policy, *_: policy)
    monkeypatch.setattr(program, "_judged", lambda rule, rows: (rows[-1], rows[0]))
    options = SimpleNamespace(
        model=None, tasks_of=None, n=1, gen_length=32, rule=["threshold"], json=None, policy=["last block"]
    )
    rows = program._accuracies(options)["rows"]
    assert rows == [(policies.DUAL, policies.DUAL), ("last block", policies.DUAL)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tokens", "0"), "argument --tokens: '0' is no whole number from 1 on"),
        (("--tokens", "1", "-2"), "argument --tokens: '-2' is no whole number from 1 on"),
        (("--tokens", "8", "33"), "--tokens 33 a step are more than a block of 32 has"),
        (("--tokens", "8", "--gen-length", "4"), "--tokens 8 a step are more than a block of 4 has"),
        (("--rows", "0"), "argument --rows: '0' is"),
        (("--prompt", "0"), "argument --prompt: '0' is"),
        (("--gen-length", "0"), "argument --gen-length: '0' is"),
        (("--accuracy", "-n", "0"), "argument -n: '0' is"),
        (("--rows", "2.5"), "argument --rows: '2.5' is"),
    ],
)
def test_counts_of_nothing_are_refused(
    benchmark: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["refreshes.py", "--device", "cpu", "--small", *arguments])
    with pytest.raises(SystemExit) as caught:
        benchmark.refreshes._options()
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_right_answers_take_no_tokens_a_step(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["refreshes.py", "--device", "cpu", "--accuracy", "--gen-length", "4"])
    assert benchmark.refreshes._options().gen_length == 4
