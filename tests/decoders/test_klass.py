"""``klass`` against what its authors' function decoded, and how it tells what stands still."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import ContractError, ParameterError
from llada_decoders.divergence import divergence
from llada_decoders.klass import Stable
from llada_runtime import NoCache, Plan, Policy, Sequence, drain
from llada_runtime.testing import MASK, FakeConfig, FakeNetwork, check_rule
from tests.decoders.golden_data import Case, check_published, check_stopped, each_case, each_that_stops

pytestmark = pytest.mark.alone


@each_case("klass")
def test_tokens_and_forwards_are_upstreams(case: Case) -> None:
    check_published(case, "klass", case["params"])


@each_that_stops("klass")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "klass", case["params"])


def test_a_divergence_is_that_of_the_distributions() -> None:
    now, before = torch.randn(130, 9, generator=torch.Generator().manual_seed(1)), torch.zeros(70, 9)
    now[:, 4] = -torch.inf
    p = now.double().softmax(-1)
    entropy = torch.special.entr(p).sum(-1)
    moved = divergence(now, [before], [130])
    assert torch.allclose(moved[:70], math.log(9) - entropy[:70], atol=1e-9)
    assert torch.allclose(moved[70:], 12 * math.log(10) - entropy[70:], atol=1e-9)
    assert divergence(now, [now], [130]).abs().max() < 1e-12


def decoded(
    network: FakeNetwork, *, answer: list[int | None] | None = None, **params: Any
) -> tuple[Sequence, list[tuple[int, ...]]]:
    """A row of blocks of 4, two unless more are asked for, and the positions that each forward filled."""
    algorithm = llada_core.get_algorithm("klass")
    given = {"gen_length": 8, "block_length": 4, "early_stop": False, **params}
    row = algorithm.sequence(network, [5, 9], algorithm.validate_args(**given), answer=answer)
    steps = list(drain(network, [row], rows=1))
    assert not [step.error for step in steps if step.error]
    return row, [step.positions for step in steps]


def test_what_is_sure_waits_until_it_has_stood_still() -> None:
    """The network never changes its mind: the first forward has nothing to compare, each later block has."""
    still = FakeNetwork.scripted(tokens=4, confidence=0.95)
    one_by_one = [(position,) for position in range(8)]
    assert decoded(still)[1] == [(0,), (1,), (2, 3), (4,), (5, 6, 7)]
    assert decoded(still, kl_history_length=1)[1] == [(0,), (1, 2, 3), (4, 5, 6, 7)]
    assert decoded(still, kl_history_length=3)[1] == [(0,), (1,), (2,), (3,), (4,), (5,), (6, 7)]
    assert decoded(still, conf_threshold=0.96)[1] == one_by_one
    assert decoded(still, kl_threshold=0.0)[1] == one_by_one


def test_what_is_known_runs_on_behind_a_block_that_given_text_fills() -> None:
    still = FakeNetwork.scripted(tokens=4, confidence=0.95)
    answer: list[int | None] = [*[None] * 4, *[6] * 4, *[None] * 4]
    _, filled = decoded(still, gen_length=12, answer=answer)
    assert filled == [(0,), (1,), (2, 3), (8,), (9, 10, 11)]


def test_the_noise_of_a_temperature_is_in_no_divergence() -> None:
    """It draws tokens; what stands still does so at any temperature."""
    still = FakeNetwork.scripted(tokens=4, confidence=0.5)
    row, filled = decoded(still, conf_threshold=0.0, temperature=1.0, seed=3)
    assert [len(each) for each in filled] == [1, 1, 2, 1, 3]
    assert len(set(row.canvas[2:])) > 1


@pytest.mark.parametrize("strategy", ["max_conf", "min_kl", "random"])
def test_one_ready_position_is_taken_by_the_other_strategies(strategy: str) -> None:
    surer = FakeNetwork.scripted(tokens=4, confidence=[0.5] * 2 + [0.91, 0.95, 0.97, 0.93] * 2)
    row, filled = decoded(surer, unmask_strategy=strategy, seed=3)
    assert [len(each) for each in filled] == [1] * 8
    assert MASK not in row.canvas
    if strategy == "max_conf":
        assert filled == [(2,), (1,), (3,), (0,), (6,), (5,), (7,), (4,)]


def test_the_stillest_is_taken_first() -> None:
    """Of the ready positions the surest one moves most."""

    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        logits = torch.zeros(len(canvas), 32)
        logits[:, 4] = 7.5
        logits[2, 4] = 12.0
        logits[3, 4] = 8.0 + 0.5 * float((canvas != MASK).sum())
        return logits[lo:hi]

    network = FakeNetwork(propose)
    for strategy, second in (("max_conf", (1,)), ("min_kl", (2,))):
        filled = decoded(network, unmask_strategy=strategy, kl_history_length=1)[1]
        assert filled[:2] == [(0,), second]


def test_a_block_is_full_though_its_steps_are_used_up() -> None:
    """Where fewer are ready than a share, upstream leaves masks."""
    network = FakeNetwork.scripted(tokens=4, confidence=[0.5] * 2 + [0.95, 0.5, 0.5, 0.5] * 2)
    row, filled = decoded(network, steps=2, kl_history_length=1, kl_threshold=50.0)
    assert filled == [(0,), (1, 2, 3), (4,), (5, 6, 7)]
    assert MASK not in row.canvas


def test_it_compares_the_columns_of_a_block() -> None:
    class Wider(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            return Plan(lo=0, hi=sequence.length, targets=(sequence.block_start, sequence.length))

    def row(policy: Policy) -> Sequence:
        rule = llada_core.get_algorithm("klass").rule(
            llada_core.get_algorithm("klass").validate_args(steps=2, gen_length=4)
        )
        return Sequence([1], FakeConfig(), gen_length=4, block_length=2, policy=policy, rule=rule)

    network = FakeNetwork.random()
    wider, alone = row(Wider()), row(NoCache())
    errors = [step.error for step in drain(network, [wider, alone], rows=2) if step.error]
    assert [type(error) for error in errors] == [ContractError]
    assert "plan targets that are the block" in str(errors[0])
    assert MASK not in alone.canvas


def test_its_rule_keeps_the_contract() -> None:
    check_rule(Stable(steps=2, conf_threshold=0.5, kl_threshold=0.1, history=2, strategy="max_conf"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kl_history_length": 0}, "kl_history_length=0 is out of range"),
        ({"unmask_strategy": "some"}, "unmask_strategy='some' is not accepted; give one of all, max_conf"),
        ({"conf_threshold": 1.5}, "conf_threshold=1.5 is out of range"),
        ({"kl_threshold": None}, "kl_threshold=None has the wrong type"),
        ({"alg": "default"}, "klass does not take alg"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("klass").validate_args(**given)


def test_the_usual_threshold_is_that_of_its_confidence() -> None:
    assert llada_core.get_algorithm("klass").validate_args(threshold=0.6)["conf_threshold"] == 0.6
