"""Proposals chosen where the logits are, and forwards launched ahead: the outcome is that of the plain way.

Here on a CPU, in the place of the kernel plain arithmetic.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import Step
from llada_runtime import (
    BestFirst,
    DualCache,
    Factor,
    LLaDAModel,
    Loop,
    Network,
    NoCache,
    NumericalError,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Rule,
    Sequence,
    Threshold,
)
from llada_runtime.decoding import glance
from llada_runtime.decoding.ahead import Ahead
from llada_runtime.network import likeliest
from llada_runtime.network.graphs import Graphed
from tests.support.graphing import FakeGraphs, small
from tests.support.likeliest import plain_likeliest

Told = list[tuple[Any, ...]]


@pytest.fixture
def glancing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))


class Counting(LLaDAModel):
    """A network that counts its forwards."""

    forwards = 0

    def logits(self, *given: Any) -> Tensor:
        self.forwards += 1
        return super().logits(*given)


@pytest.fixture
def network() -> Counting:
    return small(kind=Counting)


def sequence(network: LLaDAModel, rule: Rule, policy: Policy, *, seed: int = 0, **given: Any) -> Sequence:
    draw = random.Random(seed)
    prompt = draw.choices(range(20), k=draw.randint(1, 12))
    given = {"gen_length": 24, "block_length": 8, "early_stop": False} | given
    return Sequence(prompt, network.config, policy=policy, rule=rule, **given)


def told(network: Network, rows: list[Sequence], *, seed: int = 0) -> Told:
    """What is said of rows that come in and leave at random times."""
    draw, loop, waiting, steps = random.Random(seed), Loop(network, rows=4), list(rows), Told()
    while waiting or loop.active:
        while waiting and draw.random() < 0.3 and loop.admit(waiting[0]):
            waiting.pop(0)
        if draw.random() < 0.05:
            loop.cancel(draw.choice(rows))
        steps += [_what(rows, step) for step in loop.step()]
    return steps


def _what(rows: list[Sequence], step: Step) -> tuple[Any, ...]:
    at = next(at for at, row in enumerate(rows) if row is step.ticket.row)
    return at, step.positions, step.tokens, step.confidence, step.nfe, step.finished, repr(step.error)


RULES = {"quota": Quota(4), "slow quota": Quota(8), "threshold": Threshold(0.05), "factor": Factor(0.5)}
POLICIES = {"none": NoCache(), "prefix": PrefixCache(), "dual": DualCache()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("rule", list(RULES))
def test_steps_are_those_of_the_plain_way(
    network: Counting, request: pytest.FixtureRequest, rule: str, policy: str, seed: int
) -> None:
    def rows() -> list[Sequence]:
        one, other = (RULES[rule], POLICIES[policy]), (Quota(2), DualCache())
        return [sequence(network, *(other if at == 3 else one), seed=at) for at in range(7)]

    wanted = told(network, rows(), seed=seed)
    request.getfixturevalue("glancing")
    assert told(network, rows(), seed=seed) == wanted


@pytest.mark.usefixtures("ragged")
@pytest.mark.parametrize("rule", [Quota(8), Threshold(0.9)])
def test_steps_in_graphs_are_those_of_the_plain_way(
    plain: LLaDAModel, graphs: FakeGraphs, request: pytest.FixtureRequest, rule: Rule
) -> None:
    def rows() -> list[Sequence]:
        return [sequence(plain, rule, DualCache(), seed=at) for at in range(7)]

    wanted = told(plain, rows())
    request.getfixturevalue("glancing")
    assert told(Graphed(plain, record=graphs, after=1), rows()) == wanted
    assert graphs.replayed > 0


def test_where_an_end_token_stops_a_row_so_it_does(network: Counting, request: pytest.FixtureRequest) -> None:
    ends = frozenset(range(15))  # nearly every second token

    def rows() -> list[Sequence]:
        made = [sequence(network, Quota(8), DualCache(), seed=at, early_stop=True) for at in range(6)]
        for row in made:
            row.end_ids = ends
        return made

    wanted = told(network, rows())
    request.getfixturevalue("glancing")
    assert told(network, rows()) == wanted
    assert any(row[4] < 24 and row[5] for row in wanted)


@pytest.mark.usefixtures("glancing")
def test_a_row_alone_wastes_no_forward(network: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(
        Ahead, "is_of", lambda ahead, turns, of=Ahead.is_of: used.append(1) or of(ahead, turns)
    )
    row = sequence(network, Quota(8), DualCache())
    loop = Loop(network, rows=1)
    loop.admit(row)
    while loop.active:
        loop.step()
    assert network.forwards == row.nfe == 24
    assert len(used) == 3 * 7  # not after a block's last step


@pytest.mark.usefixtures("glancing")
@pytest.mark.parametrize("rule", [Threshold(0.9), Threshold(0.05), Factor(1.0)])
def test_what_depends_on_the_outcome_is_launched_once_that_is_read(network: Counting, rule: Rule) -> None:
    row = sequence(network, rule, DualCache())
    loop = Loop(network, rows=1)
    loop.admit(row)
    ahead = 0
    while loop.active:
        loop.step()
        ahead += loop._ahead is not None and loop._ahead.outcome is not None
    assert network.forwards == row.nfe
    assert ahead > 0 or row.nfe == 3  # a forward a block


class Refreshing(DualCache):
    """Plans otherwise now and then, and says nothing of it."""

    def plan(self, sequence: Sequence) -> Plan:
        return (
            Plan(lo=0, hi=sequence.length, writes=True) if sequence.nfe % 3 == 2 else super().plan(sequence)
        )


class Whole(Policy):
    """Computes and keeps everything in every forward, and says so."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, writes=True)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return plan


@pytest.mark.usefixtures("ragged")
@pytest.mark.parametrize("rule", [Quota(8), Threshold(0.9)])
def test_what_is_repeated_of_a_row_is_filled_in_with_it(
    plain: LLaDAModel, request: pytest.FixtureRequest, rule: Rule
) -> None:
    def steps() -> Told:
        return [
            step for seed in range(3) for step in told(plain, [sequence(plain, rule, Whole(), seed=seed)])
        ]

    wanted = steps()
    request.getfixturevalue("glancing")
    assert steps() == wanted


class Ending(DualCache):
    """Ends blocks early, once it has seen an outcome."""

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
        if sequence.block_nfe == 2 and sequence.block_end - sequence.block_start > 6:
            sequence.end_block(sequence.block_end - 2)


@pytest.mark.parametrize("kind", [Refreshing, Ending])
def test_a_policy_that_plans_otherwise_is_not_foreseen(
    network: Counting, request: pytest.FixtureRequest, kind: type[Policy]
) -> None:
    def rows() -> list[Sequence]:
        return [sequence(network, Quota(8), kind(), seed=at) for at in range(3)]

    wanted = told(network, rows())
    request.getfixturevalue("glancing")
    assert told(network, rows()) == wanted
    network.forwards, row = 0, rows()[0]
    loop = Loop(network, rows=1)
    loop.admit(row)
    while loop.active:
        loop.step()
        assert loop._ahead is None
    assert network.forwards == row.nfe


class Unforeseeable(DualCache):
    """Cannot say what comes next."""

    def plan(self, sequence: Sequence) -> Plan:
        return super().plan(sequence)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        raise RuntimeError("who knows")


@pytest.mark.usefixtures("glancing")
def test_what_a_policy_raises_of_the_next_plan_ends_its_row_only(network: Counting) -> None:
    rows = [
        sequence(network, Quota(8), policy, seed=at)
        for at, policy in enumerate([DualCache(), Unforeseeable()])
    ]
    loop = Loop(network, rows=2)
    for row in rows:
        loop.admit(row)
    errors = {step.ticket.row: step.error for _ in range(24) for step in loop.step() if step.finished}
    assert errors[rows[0]] is None
    assert isinstance(errors[rows[1]], RuntimeError)


class Failing(Counting):
    """Fails once, where it has been called so often."""

    at = 0

    def logits(self, *given: Any) -> Tensor:
        logits = super().logits(*given)
        if self.forwards == self.at:
            raise torch.OutOfMemoryError("full")
        return logits


@pytest.mark.usefixtures("glancing")
@pytest.mark.parametrize("at", [2, 5, 8])
def test_a_forward_ahead_that_fails_is_run_again(at: int) -> None:
    network = small(kind=Failing)
    row, again = (sequence(network, Quota(8), DualCache()) for _ in range(2))
    for each, failing in ((again, 0), (row, at)):
        network.forwards, network.at = 0, failing
        loop = Loop(network, rows=1)
        loop.admit(each)
        while loop.active:
            assert not any(step.error for step in loop.step())
    assert (row.canvas, row.nfe, network.forwards) == (again.canvas, 24, 25)


@pytest.mark.usefixtures("glancing")
def test_after_an_end_token_nothing_is_launched_ahead(network: Counting) -> None:
    row = sequence(network, Threshold(0.9), DualCache(), early_stop=True)
    row.end_ids = frozenset(range(network.config.embedding_size))
    loop = Loop(network, rows=1)
    loop.admit(row)
    while loop.active:
        loop.step()
    assert network.forwards == row.nfe


class EndingAnswers(DualCache):
    """Ends the answer behind its second block."""

    looks = False

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
        if sequence.block == 1 and not sequence.open_columns:
            sequence.end_answer(sequence.block_end, min(sequence.end_ids))


class Looking(EndingAnswers):
    """One that looks at the logits, whatever the class that it is of does."""

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
        assert len(logits)
        super().after(sequence, plan, logits, network)


@pytest.mark.parametrize(("policy", "looks"), [(EndingAnswers(), False), (Looking(), True)])
def test_what_a_policy_does_without_a_look_keeps_nothing_from_being_launched_ahead(
    network: Counting,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    policy: Policy,
    looks: bool,
) -> None:
    wanted = told(network, [sequence(network, Quota(8), policy)])
    request.getfixturevalue("glancing")
    launched = []
    launch = Ahead.launch
    monkeypatch.setattr(Ahead, "launch", lambda ahead, *given: launched.append(1) or launch(ahead, *given))
    assert told(network, [sequence(network, Quota(8), policy)]) == wanted
    assert (len(launched) > 0) is not looks


def reshaping(base: type[Policy], forward: int, offset: int, count: int = 0) -> Policy:
    """``base`` that ends the answer before an offset of its block, or puts masks in there, without a look."""

    class Reshaping(base):  # type: ignore[misc, valid-type]  # a class of the test's choice
        looks = False

        def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
            column = sequence.block_start + offset
            if sequence.block_nfe == forward and count and sequence.room:
                sequence.insert(column, count)
            elif sequence.block_nfe == forward and not count and sequence.may_end(column):
                sequence.end_answer(column, min(sequence.end_ids))

    return Reshaping()


class NearEnd(PrefixCache):
    """Of what is behind the block it sees the last column, in the place of the first of them."""

    def plan(self, sequence: Sequence) -> Plan:
        return self._near(sequence, sequence.block_start if sequence.cached_block == sequence.block else 0)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return self._near(sequence, sequence.block_start)

    def _near(self, sequence: Sequence, lo: int) -> Plan:
        end, last = sequence.block_end + 1, sequence.length - 1
        if end > last:
            return Plan(lo=lo, hi=last + 1, reads=lo > 0, writes=True)
        return Plan(lo=lo, hi=end, end=end, tail=last, reads=lo > 0, writes=True)


class BlockOnly(NoCache):
    """Sees nothing behind the block."""

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.block_end, end=sequence.block_end)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return self.plan(sequence)


@pytest.mark.parametrize("offset", [3, 8])
@pytest.mark.parametrize("base", [NoCache, PrefixCache, DualCache, NearEnd, BlockOnly])
def test_an_answer_that_ends_while_its_block_has_masks_is_that_of_the_plain_way(
    network: Counting, request: pytest.FixtureRequest, base: type[Policy], offset: int
) -> None:
    def rows() -> list[Sequence]:
        given = [(reshaping(base, 2, offset), Quota(8)), (DualCache(), Quota(4))]
        return [sequence(network, rule, policy, seed=at) for at, (policy, rule) in enumerate(given)]

    wanted = told(network, rows())
    assert all(step[-1] == "None" for step in wanted)
    request.getfixturevalue("glancing")
    assert told(network, rows()) == wanted


def test_masks_that_are_put_in_without_a_look_are_seen_by_the_next_forward(
    network: Counting, request: pytest.FixtureRequest
) -> None:
    def steps() -> list[Told]:
        made = [reshaping(BlockOnly, 1, offset, 1) for offset in (0, 2)]
        return [told(network, [sequence(network, Quota(8), policy, longest=40)]) for policy in made]

    wanted = steps()
    request.getfixturevalue("glancing")
    assert steps() == wanted


class Broken(BestFirst):
    """A rule that cannot choose."""

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        raise RuntimeError("no idea")


@pytest.mark.usefixtures("glancing")
def test_a_rule_that_raises_ends_its_row_and_changes_no_logits(network: Counting) -> None:
    row = sequence(network, Broken(), DualCache())
    loop = Loop(network, rows=2)
    loop.admit(row)
    (step,) = loop.step()
    assert isinstance(step.error, RuntimeError)
    assert not loop.active


class Poisoned(Counting):
    """Returns NaN for the second of its rows."""

    def logits(self, layout: Any, cache: Any) -> Tensor:
        logits = super().logits(layout, cache)
        if len(layout.form.places) > 1:
            logits[layout.form.places[0].head_width :] = torch.nan
        return logits


@pytest.mark.usefixtures("glancing")
def test_nan_ends_its_own_row_only() -> None:
    network = small(kind=Poisoned)
    rows = [sequence(network, Quota(8), DualCache(), seed=at) for at in range(2)]
    loop = Loop(network, rows=2)
    for row in rows:
        loop.admit(row)
    steps = loop.step()
    assert [type(step.error) for step in steps] == [type(None), NumericalError]
    while loop.active:
        assert not any(step.error for step in loop.step())
    assert rows[0].nfe == 24


@pytest.mark.usefixtures("glancing")
def test_a_policy_sees_raw_logits(network: Counting) -> None:
    seen = []

    class Watching(DualCache):
        def after(self, sequence: Sequence, plan: Any, logits: Tensor, network: Any) -> None:
            seen.append(bool(logits.isfinite().all()))

    loop = Loop(network, rows=1)
    loop.admit(sequence(network, Quota(4), Watching()))
    while loop.active:
        loop.step()
    assert all(seen)
    assert len(seen) == 12
