"""Compositions whose forwards are launched ahead, as on a GPU, decode as they do the plain way, whoever comes
and goes beside them. Here on a CPU, in the place of the kernel plain arithmetic."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

import llada_core
from llada_runtime import LLaDAModel, Loop
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.network import likeliest
from llada_runtime.testing import small_llada
from tests.support.likeliest import plain_likeliest

pytestmark = pytest.mark.alone

COMPOSITIONS: dict[str, dict[str, Any]] = {
    "frozen": {"cache": "frozen", "refresh_back": 0, "refresh_ahead": 1, "rule": "quota", "steps": 20},
    "frozen window": {"cache": "frozen", "refresh_back": 3, "horizon": "window", "window_size": 3},
    "dual window": {"cache": "dual", "horizon": "window", "window_size": 2, "rule": "factor", "factor": 0.5},
    "prefix far": {
        "cache": "prefix",
        "horizon": "window_far",
        "window_size": 2,
        "rule": "quota",
        "steps": 20,
    },
    "falling": {"cache": "prefix", "horizon": "window_far", "window_size": 2, "rule": "falling"},
    "ending": {"cache": "dual", "end_with_block": True, "rule": "quota", "steps": 12},
    "none window": {"cache": "none", "horizon": "window", "window_size": 4, "rule": "quota", "steps": 20},
    "adaptive": {"cache": "frozen", "refresh_back": 2, "schedule": "adaptive", "delimiter_ids": "1,3,4,8"},
}

SEEDS = (1,)


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=64)


def steps(model: LLaDAModel, params: dict[str, Any], seed: int) -> list[tuple[Any, ...]]:
    """What is said of rows that come in and leave at random times."""
    draw, algorithm = random.Random(seed), llada_core.get_algorithm("compose")
    effective = algorithm.validate_args(gen_length=16, block_length=4, early_stop=False, **params)
    prompts = [draw.choices(range(20), k=draw.randint(1, 9)) for _ in range(5)]
    rows = [algorithm.sequence(model, ids, effective) for ids in prompts]
    loop, waiting, told = Loop(model, rows=4), list(rows), list[tuple[Any, ...]]()
    while waiting or loop.active:
        while waiting and draw.random() < 0.3 and loop.admit(waiting[0]):
            waiting.pop(0)
        if draw.random() < 0.04:
            loop.cancel(draw.choice(rows))
        for step in loop.step():
            assert step.error is None
            at = next(at for at, row in enumerate(rows) if row is step.ticket.row)
            told.append((at, step.positions, step.tokens, step.confidence, step.nfe, step.finished))
    return told


@pytest.mark.parametrize("name", list(COMPOSITIONS))
def test_steps_are_those_of_the_plain_way(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wanted = [steps(model, COMPOSITIONS[name], seed) for seed in SEEDS]
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    launched = []
    launch = Ahead.launch
    monkeypatch.setattr(Ahead, "launch", lambda ahead, *given: launched.append(1) or launch(ahead, *given))
    assert [steps(model, COMPOSITIONS[name], seed) for seed in SEEDS] == wanted
    assert launched
