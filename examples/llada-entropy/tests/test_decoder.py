"""What the rule of ``entropy`` keeps, and that its rows are rows like any other."""

from __future__ import annotations

import pytest
import torch

import llada_core
from llada_entropy.decoder import EntropyBounded, EntropyGeneration
from llada_runtime import drain
from llada_runtime.testing import FakeNetwork, check_rule

LILY = (
    "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. How "
    "many kilometers can she run in 8 hours?"
)


@pytest.fixture(scope="module")
def lm() -> llada_core.LoadedModel:
    return llada_core.load_model(engine="fast-dllm")


@pytest.mark.parametrize("budget", [0.0, 0.3, 100.0])
def test_its_rule_keeps_the_contract(budget: float) -> None:
    check_rule(EntropyBounded(budget))


@pytest.mark.parametrize(("budget", "kept"), [(0.0, 1), (0.29, 2), (0.31, 3), (0.61, 4), (9.0, 4)])
def test_what_comes_before_a_token_is_within_the_budget(budget: float, kept: int) -> None:
    ranked = -torch.tensor([[0.1, 0.2, 0.3, 0.4, torch.inf]], dtype=torch.float64)
    counts = EntropyBounded.counts(torch.tensor([[budget]]), ranked, torch.tensor([4]))
    assert counts.tolist() == [kept]


def test_the_surest_go_first() -> None:
    network = FakeNetwork.scripted(tokens=9, confidence={2: 0.5, 3: 0.99, 4: 0.6, 0: 1.0, 1: 1.0})
    params = {"gen_length": 3, "block_length": 3, "entropy_budget": 0.0}
    row = EntropyGeneration().sequence(network, [7, 8], params)
    assert [step.positions for step in drain(network, [row], rows=1)] == [(1,), (2,), (0,)]


def test_a_larger_budget_takes_fewer_forwards(lm: llada_core.LoadedModel) -> None:
    forwards = [
        lm.generate(LILY, algorithm="entropy", max_tokens=64, entropy_budget=budget).nfe
        for budget in (0.0, 0.1, 5.0)
    ]
    assert forwards[0] > forwards[1] > forwards[2]


def test_it_streams(lm: llada_core.LoadedModel) -> None:
    steps = list(lm.stream(LILY, algorithm="entropy", max_tokens=64))
    assert len(steps) > 1
    assert steps[-1].result.token_ids == lm.generate(LILY, algorithm="entropy", max_tokens=64).token_ids


def test_it_shares_forwards_with_other_algorithms(lm: llada_core.LoadedModel) -> None:
    names = ("entropy", "dual_cache")
    alone = [lm.generate(LILY, algorithm=name, max_tokens=64) for name in names]
    with lm.session(rows=2) as session:
        tickets = [
            session.submit(
                llada_core.GenerationRequest(prompt=LILY, algorithm=name, parameters={"max_tokens": 64})
            )
            for name in names
        ]
        steps = [session.step() for _ in range(max(result.nfe for result in alone))]
    assert [step.ticket for step in steps[0]] == tickets
    assert [ticket.result.token_ids for ticket in tickets] == [result.token_ids for result in alone]
