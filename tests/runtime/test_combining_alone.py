"""Policies that combine a canvas alone, that are no `Policy`, or do not say how they combine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_runtime import Around, Canvases, LLaDAModel, NoCache, Plan, Policy, Quota, Sequence
from llada_runtime.decoding import combining
from llada_runtime.decoding.combining import hand_out
from llada_runtime.decoding.turn import planned
from llada_runtime.reference import follow
from tests.runtime.test_combining import PROMPTS, Blended, decoded, row, told


class Turned(NoCache):
    """Decides by the least likely token, beside a shadow."""

    combines_one = True

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, shadow=True)

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        (alone,) = logits
        return -alone


class TurnedAtOnce(Turned):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        assert [each.count for each in rows] == [1] * len(rows)
        assert sum(each.columns for each in rows) == len(logits)
        return -logits


class Unseen(Turned):
    combines_one = False


@pytest.mark.parametrize("kind", [Turned, TurnedAtOnce])
@pytest.mark.parametrize("beside", [[], [NoCache()], [Unseen(), Blended(0.5)]])
def test_a_shadow_is_not_combined(model: LLaDAModel, kind: type[Turned], beside: list[Policy]) -> None:
    def rows() -> list[Sequence]:
        policies = [kind(), Around(kind()), *beside]
        return [row(model, *each, rule=Quota(2)) for each in zip(policies, PROMPTS, strict=False)]

    together = rows()
    assert not decoded(model, together)[1]
    assert told(together) == [follow(model, each) for each in rows()]
    assert together[0].canvas != follow(model, row(model, NoCache(), PROMPTS[0], rule=Quota(2)))[0]


class Wild:
    """What decoding asks of a policy, and no `Policy`; ``seen`` are the shapes that it was asked to
    combine."""

    caches = False

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def plan(self, sequence: Sequence) -> Plan:
        return Blended(0.5).plan(sequence)

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        self.seen.append(tuple(logits.shape))
        return Blended(0.5).combine(sequence, plan, logits)

    def __getattr__(self, name: str) -> Any:
        if name in {"begin", "inputs", "sees_proposals", "after", "stays", "block_end"}:
            return lambda *given: None
        raise AttributeError(name)


class WildAtOnce(Wild):
    @classmethod
    def combine_all(cls, rows: Any, logits: Any) -> Any:
        raise AssertionError("never asked of what is no Policy")


class WildPlain(Wild):
    """Has one canvas, and says nothing of combining it."""

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length)


class WildAlone(Wild):
    combines_one = True

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length)

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        self.seen.append(tuple(logits.shape))
        return logits[0]


@pytest.mark.parametrize("kind", [Wild, WildAtOnce])
@pytest.mark.parametrize("around", [False, True])
def test_one_that_is_no_policy_is_asked_row_by_row(model: LLaDAModel, kind: type[Wild], around: bool) -> None:
    wild: list[Any] = [kind(), kind()]
    rows = [
        row(model, Around(policy) if around else policy, prompt)
        for policy, prompt in zip(wild, PROMPTS, strict=False)
    ]
    assert not decoded(model, rows)[1]
    assert told(rows) == [follow(model, row(model, Blended(0.5), prompt)) for prompt in PROMPTS[:2]]
    assert wild[0].seen[0] == (2, 4, 32)


@pytest.mark.parametrize("around", [False, True])
def test_one_that_is_no_policy_may_look_at_every_forward(model: LLaDAModel, around: bool) -> None:
    wild: Any = WildAlone()
    alone = row(model, Around(wild) if around else wild, PROMPTS[0])
    assert not decoded(model, [alone])[1]
    assert len(wild.seen) == alone.nfe
    assert {shape[0] for shape in wild.seen} == {1}


def test_one_that_is_no_policy_need_not_combine(model: LLaDAModel) -> None:
    wild: Any = WildPlain()
    rows = [row(model, policy, PROMPTS[0]) for policy in (wild, Around(wild), NoCache())]
    assert not decoded(model, rows)[1]
    assert not wild.seen
    assert len({tuple(each.canvas) for each in rows}) == 1


class Silent(NoCache):
    combines_one = True


class Method(NoCache):
    def combines_one(self) -> bool:  # type: ignore[override]
        return False


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Silent(), r"Silent.combines_one is True, and it does not say how; define combine, or combine_all"),
        (Method(), r"Method.combines_one is .*; give True or False, or a property that returns one"),
    ],
)
@pytest.mark.parametrize("around", [False, True])
def test_one_that_does_not_say_what_it_combines_is_told_so(
    model: LLaDAModel, policy: Policy, words: str, around: bool
) -> None:
    bad, sound = row(model, Around(policy) if around else policy, [1, 2]), row(model, NoCache(), [3])
    _, errors = decoded(model, [bad, sound])
    assert list(errors) == [bad]
    with pytest.raises(ContractError, match=words):
        raise errors[bad]


@pytest.mark.parametrize("around", [False, True])
def test_a_property_that_raises_is_no_answer(model: LLaDAModel, around: bool) -> None:
    class Mistaken(NoCache):
        @property
        def combines_one(self) -> bool:
            return bool(self.weights)  # type: ignore[attr-defined]

    policy = Mistaken()
    bad, sound = row(model, Around(policy) if around else policy, [1, 2]), row(model, NoCache(), [3])
    _, errors = decoded(model, [bad, sound])
    assert list(errors) == [bad]
    assert "has no attribute 'weights'" in str(errors[bad])


def test_one_that_combines_nothing_is_told_what_to_define(model: LLaDAModel) -> None:
    class Careless(Blended):
        combine = Policy.combine

    class Further(NoCache):
        plan = Blended(0.5).plan

        @classmethod
        def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
            return super().combine_all(rows, logits)

    rows = [row(model, policy, [1, 2]) for policy in (Around(Careless(0.5)), Further(), NoCache())]
    _, errors = decoded(model, rows)
    assert [type(errors[each]) for each in rows[:2]] == [NotImplementedError] * 2
    assert list(map(str, errors.values())) == [
        f"{name} has canvases to combine; define combine or combine_all, which no class above it does"
        for name in ("Careless", "Further")
    ]


def test_a_row_that_cannot_be_grouped_fails_alone(model: LLaDAModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Blended):
        pass

    def fickle(policy: Any) -> bool:
        if isinstance(policy, Odd):
            raise LookupError("odd")
        return False

    monkeypatch.setattr(combining, "combines_all", fickle)
    odd, sound = (row(model, kind(0.5), [1, 2]) for kind in (Odd, Blended))
    turns = [planned(each, None, model) for each in (odd, sound)]
    assert list(map(str, hand_out(turns, torch.ones(16, 32)).values())) == ["odd"]
    assert [turn.logits.unique().tolist() for turn in turns] == [[1.0], [1.5]]
