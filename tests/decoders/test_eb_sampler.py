"""``eb_sampler`` against two published implementations: of the whole answer, and block by block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_core import ParameterError
from llada_decoders.eb_sampler import EntropyBudget, OrderedEntropyBudget
from llada_runtime import NoCache, Sequence, drain
from llada_runtime.testing import FakeConfig, FakeNetwork, check_rule
from tests.decoders.golden_data import Case, check_published, check_stopped, each_case, each_that_stops

pytestmark = pytest.mark.alone


def params_of(case: Case) -> dict[str, Any]:
    """Ours: without blocks the answer is one; without a budget the number a step is all there is."""
    given = dict(case["params"])
    given.setdefault("block_length", given["gen_length"])
    return {**given, "gamma": given["gamma"] or 0.0}


@each_case("eb")
def test_the_whole_answer_is_upstreams(case: Case) -> None:
    check_published(case, "eb_sampler", params_of(case))


@each_case("blockwise")
def test_blocks_are_upstreams_in_each_order(case: Case) -> None:
    check_published(case, "eb_sampler", params_of(case))


@each_that_stops("eb")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "eb_sampler", params_of(case))


def row(rule: EntropyBudget, width: int) -> Sequence:
    return Sequence([1, 2], FakeConfig(), gen_length=width, block_length=width, policy=NoCache(), rule=rule)


@pytest.mark.parametrize(
    ("gamma", "least", "kept"), [(0.0, 1, [0]), (0.3, 1, [0, 2]), (0.3, 3, [0, 1, 2]), (9.0, 1, [0, 1, 2])]
)
def test_the_last_token_of_a_step_is_free(gamma: float, least: int, kept: list[int]) -> None:
    entropies = torch.tensor([[0.1, 0.9, 0.25, -torch.inf]], dtype=torch.float64)
    open_ = torch.tensor([[True, True, True, False]])
    chosen = EntropyBudget.select([row(EntropyBudget(gamma, least), 4)], -entropies.abs(), open_)
    assert chosen.nonzero()[:, 1].tolist() == kept


def test_in_another_order_the_budget_is_for_those_before() -> None:
    """By confidence the second of the row is first, and what it costs counts against those behind it."""
    rows = [row(OrderedEntropyBudget(gamma, 1, "confidence"), 3) for gamma in (0.5, 1.0, 2.0)]
    for each in rows:
        each.rule_state = torch.tensor([0.4, 0.9, 0.2], dtype=torch.float64)
    scores = torch.tensor([[0.5, 0.8, 0.3]] * 3, dtype=torch.float64)
    chosen = OrderedEntropyBudget.select(rows, scores, torch.ones(3, 3, dtype=torch.bool))
    assert chosen.tolist() == [[False, True, False], [True, True, False], [True, True, True]]


def test_at_a_temperature_the_budget_is_that_of_the_plain_logits() -> None:
    """The noise draws tokens, and changes nothing of how many are taken together, and which."""
    network = FakeNetwork.scripted(tokens=4, confidence=[0.5] * 2 + [0.6, 0.9, 0.7, 0.8, 0.5, 0.95])
    decoder, told = llada_core.get_algorithm("eb_sampler"), []
    for temperature in (0.0, 1.0):
        given = {"gen_length": 6, "block_length": 6, "gamma": 1.5, "early_stop": False, "seed": 1}
        params = decoder.validate_args(**given, temperature=temperature)
        steps = list(drain(network, [decoder.sequence(network, [5, 9], params)], rows=1))
        assert not [step.error for step in steps if step.error]
        told.append([(step.positions, step.tokens) for step in steps])
    plain, hot = told
    assert [positions for positions, _ in hot] == [positions for positions, _ in plain]
    assert 1 < len(plain) < 6
    assert hot != plain


def test_its_rules_keep_the_contract() -> None:
    check_rule(EntropyBudget(0.3, 2))
    check_rule(OrderedEntropyBudget(0.3, 1, "margin"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"gamma": -0.1}, r"gamma=-0\.1 is out of range"),
        ({"order": "random"}, "order='random' is not accepted; give one of confidence, entropy, margin"),
        ({"tokens_per_step": 0}, "tokens_per_step=0 is out of range"),
        ({"steps": 8}, "eb_sampler does not take steps=8"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("eb_sampler").validate_args(**given)


def test_the_published_names_are_taken() -> None:
    algorithm = llada_core.get_algorithm("eb")
    assert algorithm.name == "eb_sampler"
    values = algorithm.validate_args(entropy_bound=0.2, num_transfer_tokens=2)
    assert (values["gamma"], values["tokens_per_step"], values["order"]) == (0.2, 2, "entropy")
