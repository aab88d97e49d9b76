"""The clocks of rows that share a loop: each has its own, by which a forward takes a second here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import llada_core
from llada_core.generation import execution
from llada_core.generation.execution import Execution
from llada_core.generation.model import Model
from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_runtime import NoCache, Quota, StepAlgorithm
from llada_runtime.network.layout import Layout
from llada_runtime.testing import FakeNetwork


class Slow(FakeNetwork):
    now = 100.0

    def logits(self, layout: Layout, cache: object) -> torch.Tensor:
        self.now += 1.0
        return super().logits(layout, None)


class Singles(StepAlgorithm):
    """A token a forward."""

    name, engine = "singles", "fake"
    parameters = tuple(map(llada_core.standard, ("gen_length", "block_length")))

    def policy(self, params):
        return NoCache()

    def rule(self, params):
        return Quota(params["block_length"])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow.scripted(7)
    monkeypatch.setattr(execution, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def run(network: Slow, *lengths: int, rows: int) -> list[GenerationResult]:
    """The results of rows of these lengths, ``rows`` of them at a time."""
    model, algorithm = Model.of(network), Singles()
    work = Execution(model, rows=rows)
    tickets = [
        work.submit(
            algorithm.prepare(
                model,
                GenerationRequest(prompt=[1, 2], parameters={"gen_length": length, "block_length": length}),
                index=n,
            )
        )
        for n, length in enumerate(lengths)
    ]
    while work.active:
        work.step()
    return [ticket.result for ticket in tickets if ticket.result is not None]


def test_a_row_takes_the_seconds_of_its_own_forwards(network: Slow) -> None:
    results = run(network, 2, 5, 9, rows=3)
    assert [result.seconds for result in results] == [2.0, 5.0, 9.0]
    assert [result.nfe for result in results] == [2, 5, 9]
    assert [result.queue_seconds for result in results] == [0.0] * 3


def test_a_row_that_waits_is_not_at_work(network: Slow) -> None:
    results = run(network, 4, 3, 2, rows=1)
    assert [result.seconds for result in results] == [4.0, 3.0, 2.0]
    assert [result.queue_seconds for result in results] == [0.0, 4.0, 7.0]
    assert [result.arrived for result in results] == [100.0] * 3


def test_the_rates_are_of_the_rows_own_seconds(network: Slow) -> None:
    fast, slow = run(network, 2, 8, rows=2)
    assert fast.tokens_per_second == slow.tokens_per_second == 1.0
    assert sum(result.seconds for result in (fast, slow)) == 10.0  # and 8 on the wall
