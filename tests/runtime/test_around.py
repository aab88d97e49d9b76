"""A policy around another is that one but for what it defines; one that sees proposals may end a block."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from llada_runtime import (
    Around,
    DualCache,
    Network,
    NoCache,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Sequence,
    Threshold,
    drain,
    policy_of,
)
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.decoding.policies import foresees, sees_logits
from llada_runtime.network import likeliest
from llada_runtime.testing import FakeNetwork, check_policy, small_llada
from tests.runtime.test_glance import sequence, told
from tests.support.likeliest import plain_likeliest


@pytest.fixture
def glancing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))


class Halving(Around):
    """Ends each block behind its first half, once its first forward has proposed something."""

    def sees_proposals(self, sequence: Sequence) -> bool:
        return not sequence.block_nfe

    def proposed(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> None:
        assert len(logits) == len(tokens) == sequence.block_end - sequence.block_start
        sequence.end_block(sequence.block_start + -(-len(tokens) // 2))


class Looking(Around):
    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        assert len(logits)
        super().after(sequence, plan, logits, network)


class Replanning(Around):
    def plan(self, sequence: Sequence) -> Plan:
        return super().plan(sequence)


@pytest.mark.parametrize(
    "base", [NoCache(), PrefixCache(), DualCache()], ids=lambda base: type(base).__name__
)
@pytest.mark.parametrize("seed", range(2))
def test_around_a_policy_rows_are_those_of_the_policy(
    request: pytest.FixtureRequest, base: Policy, seed: int
) -> None:
    network = small_llada(scale=0.4)
    wanted = told(network, [sequence(network, Quota(4), base, seed=at) for at in range(5)], seed=seed)
    request.getfixturevalue("glancing")
    made = [
        sequence(network, Quota(4), Around(Looking(base) if at % 2 else base), seed=at) for at in range(5)
    ]
    assert told(network, made, seed=seed) == wanted


def test_what_is_around_a_policy_is_foreseen_as_that_is() -> None:
    assert foresees(Around(Around(DualCache())))
    assert not foresees(Around(Looking(DualCache())))
    assert not foresees(Around(Replanning(DualCache())))
    assert sees_logits(Around(Looking(DualCache())))
    assert not sees_logits(Around(DualCache()))


def test_a_policy_is_found_by_its_kind() -> None:
    inner = DualCache()
    row = sequence(small_llada(), Quota(2), Around(Halving(inner)))
    assert policy_of(row, DualCache) is inner
    assert isinstance(policy_of(row, Halving), Halving)
    assert policy_of(row, PrefixCache) is None


@pytest.mark.parametrize(
    "base", [NoCache(), PrefixCache(), DualCache()], ids=lambda base: type(base).__name__
)
def test_what_is_behind_the_end_that_a_policy_sees_is_not_filled(base: Policy) -> None:
    assert check_policy(Halving(base))
    network = FakeNetwork.random()
    row = sequence(network, Threshold(0.0), Halving(base), gen_length=12, block_length=4)
    found = [step.positions for step in drain(network, [row], rows=1)]
    assert found == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10,), (11,)]


@pytest.mark.usefixtures("glancing")
def test_what_a_policy_has_seen_keeps_nothing_more_from_being_launched_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launched = []
    launch = Ahead.launch
    monkeypatch.setattr(Ahead, "launch", lambda ahead, *given: launched.append(1) or launch(ahead, *given))
    network = small_llada(scale=0.4)
    row = sequence(network, Quota(4), Halving(DualCache()), gen_length=8)
    alone = told(network, [row])
    assert launched
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: "off")
    assert alone == told(network, [sequence(network, Quota(4), Halving(DualCache()), gen_length=8)])


class Failing(Around):
    def sees_proposals(self, sequence: Sequence) -> bool:
        return True

    def proposed(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Any:
        raise ValueError("seen enough")


def test_what_a_policy_raises_of_proposals_ends_its_row_only() -> None:
    network = FakeNetwork.random()
    rows = [sequence(network, Quota(4), policy) for policy in (Failing(NoCache()), NoCache())]
    errors = [step.error for step in drain(network, rows, rows=2) if step.error is not None]
    assert [str(error) for error in errors] == ["seen enough"]
    assert rows[1].finished
