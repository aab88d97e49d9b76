"""A rule class that is asked again of a forward, as where a row beside it fails, answers and remembers as
if it had been asked once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from torch import Tensor

import llada_core
from llada_core import ContractError
from llada_core.testing import ConformanceError, NotRun
from llada_decoders.daedal import Surer
from llada_decoders.eb_sampler import EntropyBudget, OrderedEntropyBudget
from llada_decoders.klass import LooksAhead, Stable
from llada_decoders.llada import EndsLast
from llada_decoders.multiblock import LowEntropy
from llada_decoders.wino import Accepted, Shadowed, WideInNarrowOut
from llada_runtime import Loop, NoCache, Policy, Proposed, Rule, Sequence, Threshold
from llada_runtime.testing import FakeConfig, FakeNetwork, algorithm_checks, check_rule
from llada_runtime.testing.asked_again import check_asked_again

PROMPTS = [[1, 2, 3], [4, 5], [7], [6, 8, 7, 6], [5, 5]]
FAULTY = 3

STABLE = Stable(steps=8, conf_threshold=0.05, kl_threshold=50.0, history=3, strategy="all")
WINO = WideInNarrowOut(threshold=0.3, threshold_back=0.5)


def row(prompt: list[int], rule: Rule, policy: Policy, length: int = 24) -> Sequence:
    return Sequence(
        prompt, FakeConfig(), gen_length=length, block_length=length, policy=policy, rule=rule, seed=3
    )


def decoded(network: FakeNetwork, *rows: Sequence) -> dict[Sequence, Exception]:
    """Run the ``rows`` together; what those that fail end with."""
    loop = Loop(network, rows=len(rows))
    assert all(map(loop.admit, rows))
    faults: dict[Sequence, Exception] = {}
    while loop.active:
        faults |= {step.ticket.row: step.error for step in loop.step() if step.error is not None}
    return faults


def hold(make: Callable[[list[int]], Sequence], *, faulty: bool = False) -> None:
    """Check that each row is beside the others what it is alone; the ``faulty`` one fails."""
    rows, alone = list(map(make, PROMPTS)), list(map(make, PROMPTS))
    assert [*decoded(FakeNetwork.random(scale=2.0), *rows)] == [rows[FAULTY]] * faulty
    for one, beside in zip(alone, rows, strict=True):
        if not faulty or beside is not rows[FAULTY]:
            assert not decoded(FakeNetwork.random(scale=2.0), one)
            assert (beside.canvas, beside.nfe) == (one.canvas, one.nfe)


def failing(base: type[Rule], hook: str) -> type[Rule]:
    """A ``base`` that fails for several rows, once all have been judged: each is asked again, every time."""

    def asked(cls: Any, rows: list[Any]) -> list[Any]:
        found: list[Any] = getattr(super(kind, cls), hook)(rows)
        for each in found:
            if isinstance(each, Tensor):
                each.mul_(0.5)  # its own, as what a class returns may be changed in place
        if len(rows) > 1:
            raise KeyError(len(rows))
        return found

    kind = type(f"Failing{base.__name__}", (base,), {"__slots__": (), hook: classmethod(asked)})
    return kind


def of_kind(kind: type[Rule], rule: Any) -> Rule:
    return kind(**{each.name: getattr(rule, each.name) for each in fields(rule)})


def test_a_threshold_that_is_none_is_the_fault_of_its_row() -> None:
    """It is found while those before it have been judged, and they are asked again."""

    def make(prompt: list[int]) -> Sequence:
        back: Any = None if prompt[0] == 6 else 0.5
        return row(prompt, WideInNarrowOut(threshold=0.3, threshold_back=back), Shadowed())

    hold(make, faulty=True)


@pytest.mark.parametrize(
    "rule",
    [STABLE, replace(STABLE, strategy="random"), replace(STABLE, strategy="max_conf", kl_threshold=3.0)],
    ids=lambda rule: str(rule.strategy),
)
@pytest.mark.parametrize("ahead", [False, True])
def test_klass_scores_once_what_it_is_asked_twice(rule: Stable, ahead: bool) -> None:
    kind = failing(Stable, "score_all")
    policy = LooksAhead(NoCache()) if ahead else NoCache()
    hold(lambda prompt: row(prompt, of_kind(kind, rule), policy))


def test_wino_counts_once_what_it_is_asked_twice() -> None:
    kind = failing(WideInNarrowOut, "revoke_all")
    hold(lambda prompt: row(prompt, of_kind(kind, WINO), Shadowed()))


@pytest.mark.parametrize(
    ("kind", "hook", "rule"),
    [
        (Surer, "score_all", Surer(0.4)),
        (EntropyBudget, "score_all", EntropyBudget(2.0)),
        (OrderedEntropyBudget, "score_all", OrderedEntropyBudget(2.0, 1, "margin")),
        (LowEntropy, "score_all", LowEntropy(1.5)),
        (EndsLast, "score_all", EndsLast(5)),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_rules_that_remember_nothing_but_the_last_answer_have_the_same_again(
    kind: type[Rule], hook: str, rule: Rule
) -> None:
    again = failing(kind, hook)
    hold(lambda prompt: row(prompt, of_kind(again, rule), NoCache()))


@pytest.mark.parametrize("policy", [NoCache(), LooksAhead(NoCache())], ids=["alone", "ahead"])
def test_an_order_that_is_left_to_chance_is_refused_where_what_is_ready_decides(policy: Policy) -> None:
    def made(rule: Rule, *, random_order: bool) -> Sequence:
        return Sequence(
            [1],
            FakeConfig(),
            gen_length=8,
            block_length=4,
            policy=policy,
            rule=rule,
            random_order=random_order,
            early_stop=False,
        )

    wrong, sound = made(STABLE, random_order=True), made(STABLE, random_order=False)
    faults = decoded(FakeNetwork.random(), wrong, sound)
    assert [*faults] == [wrong]
    assert isinstance(faults[wrong], ContractError)
    assert re.search(r"random_order=True .* Stable .*; leave it out, or take strategy=", str(faults[wrong]))
    alone = made(STABLE, random_order=False)
    assert not decoded(FakeNetwork.random(), alone)
    assert (sound.canvas, sound.nfe) == (alone.canvas, alone.nfe)


class CountsTwice(Stable):
    """Does not know of which forward something is noted."""

    @classmethod
    def score_all(cls, rows: list[Any]) -> list[Tensor | None]:
        for each in rows:
            each.sequence.rule_state.at = -1
        return super().score_all(rows)


def test_the_kit_finds_what_counts_twice() -> None:
    name = "its rule and policy answer the same where they are asked again of a forward"
    assert name in check_rule(STABLE)
    with pytest.raises(ConformanceError) as caught:
        check_rule(of_kind(CountsTwice, STABLE))
    (failure,) = caught.value.failures
    assert failure.check == name
    assert "where CountsTwice.score_all raises for several rows" in failure.problem


def test_the_kit_finds_it_where_a_rule_decodes_beside_its_own_policy_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone it cannot be asked of anything."""
    name = "its rule and policy answer the same where they are asked again of a forward"
    assert name not in check_rule(WINO)
    checks = dict(algorithm_checks(llada_core.get_algorithm("wino")))
    checks[name]()
    counted = Accepted.before

    def before(known: Accepted, sequence: Sequence) -> int:
        known.at = -1
        return counted(known, sequence)

    monkeypatch.setattr(Accepted, "before", before)
    with pytest.raises(AssertionError, match=r"where WideInNarrowOut.revoke_all raises .* note in"):
        dict(algorithm_checks(llada_core.get_algorithm("wino")))[name]()


class ForgetsToAsk(Stable):
    """Scores by itself, so that nothing is noted."""

    @classmethod
    def score_all(cls, rows: list[Any]) -> list[Tensor | None]:
        return [None for _ in rows]


def test_a_rule_that_notes_nothing_is_told_so_where_what_is_behind_is_shown() -> None:
    rule = of_kind(ForgetsToAsk, STABLE)
    policy = LooksAhead(NoCache())
    sequence = Sequence([1], FakeConfig(), gen_length=8, block_length=4, policy=policy, rule=rule)
    (fault,) = decoded(FakeNetwork.random(), sequence).values()
    assert isinstance(fault, ContractError)
    assert re.search(r"ForgetsToAsk ended a block of which it noted no forward", str(fault))


class OfItsClass(EntropyBudget):
    """Sound, and asks for its own class."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        assert cls is OfItsClass
        return super().score_all(rows)


class NoMore(EntropyBudget):
    """Sound, and has no class below it that says nothing."""

    def __init_subclass__(cls, *, key: str) -> None:
        super().__init_subclass__()


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Threshold(0.5), "asked of each row by itself"),
        (OfItsClass(gamma=0.1), "alone a row of RaisingOfItsClass and NoCache fails"),
        (NoMore(gamma=0.1), "NoMore cannot be copied, or has no subclass"),
    ],
)
def test_a_rule_of_which_no_fault_can_be_made_is_not_tried(rule: Rule, why: str) -> None:
    def make(network: Any, prompt: Any, gen_length: int) -> Sequence:
        return row([*prompt], rule, NoCache(), gen_length)

    with pytest.raises(NotRun, match=why):
        check_asked_again([make])
