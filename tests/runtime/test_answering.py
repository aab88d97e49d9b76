"""What a class says of one row or of all, it says of both, and so does each class below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_runtime import (
    Around,
    Canvases,
    LLaDAModel,
    NoCache,
    Plan,
    Policy,
    Rule,
    Sequence,
    Standing,
    Threshold,
)
from llada_runtime.reference import follow
from tests.runtime.test_combining import PROMPTS, Blended, decoded, row, told


class Summed(NoCache):
    """Of all rows: the sum of two canvases."""

    def plan(self, sequence: Sequence) -> Plan:
        return Blended(0.5).plan(sequence)

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return torch.cat([part.view(2, -1, 32).sum(0) for part in logits.split([r.columns for r in rows])])


class Negated(Summed):
    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return -super().combine(sequence, plan, logits)


class Tripled(Negated):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return 3 * super().combine_all(rows, logits)


class Raised(Tripled):
    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return 1 + super().combine(sequence=sequence, plan=plan, logits=logits)


class Doubles:
    """A mixin, of one row."""

    def combine(self, sequence: Any, plan: Any, logits: Any) -> Any:
        return 2 * super().combine(sequence, plan, logits)  # type: ignore[misc]


class AddsOne:
    """A mixin, of all rows."""

    @classmethod
    def combine_all(cls, rows: Any, logits: Any) -> Any:
        return 1 + super().combine_all(rows, logits)  # type: ignore[misc]


class DoublesSum(Doubles, Summed):
    pass


class AddsToDouble(AddsOne, Doubles, Summed):
    pass


class DoublesAdded(Doubles, AddsOne, Summed):
    pass


class DoublesAround(Doubles, Around):
    pass


class AddsAround(AddsOne, Around):
    pass


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Summed(), lambda x: x),
        (Negated(), lambda x: -x),
        (Tripled(), lambda x: -3 * x),
        (Raised(), lambda x: 1 - 3 * x),
        (DoublesSum(), lambda x: 2 * x),
        (AddsToDouble(), lambda x: 1 + 2 * x),
        (DoublesAdded(), lambda x: 2 * (1 + x)),
        (Around(Tripled()), lambda x: -3 * x),
        (DoublesAround(Tripled()), lambda x: -6 * x),
        (AddsAround(DoublesAround(AddsAround(Summed()))), lambda x: 1 + 2 * (1 + x)),
    ],
)
def test_each_class_above_has_its_say(model: LLaDAModel, policy: Policy, wanted: Any) -> None:
    one = row(model, policy, [1, 2])
    plan, logits = policy.plan(one), torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(5))
    asked = Canvases(policy=policy, sequence=one, plan=plan, width=3)
    expected = wanted(logits.sum(0))
    torch.testing.assert_close(policy.combine(one, plan, logits.clone()), expected)
    torch.testing.assert_close(type(policy).combine_all([asked], logits.flatten(0, 1)), expected)
    both = type(policy).combine_all([asked, asked], logits.flatten(0, 1).repeat(2, 1))
    torch.testing.assert_close(both, expected.repeat(2, 1))
    rows = [row(model, policy, prompt) for prompt in PROMPTS[:3]]
    assert not decoded(model, rows)[1]
    assert told(rows) == [follow(model, row(model, policy, prompt)) for prompt in PROMPTS[:3]]


class First(Threshold):
    """Of all rows: the first column; it is replaced by token 1."""

    __slots__ = ()
    revokes = True

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        return [[each.start] for each in rows]

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        return [{each.start: 1} for each in rows]


class Second(First):
    __slots__ = ()

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        return [*super().revoke(sequence, start, logits), start + 1]

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        return {**super().replace(sequence, start, logits), start + 1: 2}


class Third(Second):
    __slots__ = ()

    @classmethod
    def revoke_all(cls, rows: list[Standing]) -> list[Iterable[int]]:
        found = zip(rows, super().revoke_all(rows), strict=True)
        return [[*columns, each.start + 2] for each, columns in found]

    @classmethod
    def replace_all(cls, rows: list[Standing]) -> list[Mapping[int, int]]:
        found = zip(rows, super().replace_all(rows), strict=True)
        return [{**tokens, each.start + 2: 3} for each, tokens in found]


class Backs:
    """A mixin, of all rows."""

    __slots__ = ()

    @classmethod
    def revoke_all(cls, rows: Any) -> Any:
        found = zip(rows, super().revoke_all(rows), strict=True)  # type: ignore[misc]
        return [[*columns, each.start - 1] for each, columns in found]


class BacksNothing(Backs, Threshold):
    __slots__ = ()


class BacksSecond(Backs, Second):
    __slots__ = ()


class BacksOver(Backs, Third):
    __slots__ = ()

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        return super().revoke(sequence, start, logits)


@pytest.mark.parametrize(
    ("kind", "offsets", "tokens"),
    [
        (Threshold, [], []),
        (First, [0], [1]),
        (Second, [0, 1], [1, 2]),
        (Third, [0, 1, 2], [1, 2, 3]),
        (BacksNothing, [-1], []),
        (BacksSecond, [0, 1, -1], [1, 2]),
        (BacksOver, [0, 1, 2, -1], [1, 2, 3]),
    ],
)
def test_each_rule_above_has_its_say(
    model: LLaDAModel, kind: type[Threshold], offsets: list[int], tokens: list[int]
) -> None:
    rule, logits = kind(0.1), torch.zeros(4, 8)
    one = row(model, NoCache(), [1, 2], rule=rule)
    asked = [Standing(rule=rule, sequence=one, start=start, logits=logits) for start in (2, 6)]
    columns = [[each.start + at for at in offsets] for each in asked]
    replaced = [{each.start + at: token for at, token in enumerate(tokens)} for each in asked]
    assert [list(found) for found in kind.revoke_all(asked)] == columns
    assert kind.replace_all(asked) == replaced
    assert [[*rule.revoke(one, each.start, logits)] for each in asked] == columns
    assert [rule.replace(one, start=each.start, logits=logits) for each in asked] == replaced


@pytest.mark.parametrize("wrong", [lambda rows: [], staticmethod(lambda rows: [])])
@pytest.mark.parametrize("name", ["revoke_all", "replace_all"])
def test_a_rule_that_judges_by_no_class_method_is_told_so(name: str, wrong: Any) -> None:
    words = rf"Own.{name} is no class method, .* write @classmethod def {name}\(cls, rows\)"
    for base in (Rule, Threshold, Third):
        with pytest.raises(ContractError, match=words):
            type("Own", (base,), {"__slots__": (), name: wrong})


def test_what_fills_a_class_tells_how_it_is_called() -> None:
    assert Summed.combine.__doc__ == Policy.combine.__doc__
    assert Negated.combine_all.__doc__ == Policy.combine_all.__doc__
