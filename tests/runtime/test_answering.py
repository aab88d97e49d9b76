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
    Proposed,
    Ranked,
    Rule,
    Sequence,
    Standing,
    Threshold,
    probability,
)
from llada_runtime.decoding.answering import answers_for_all
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


class Counted(Threshold):
    """Of all rows: 1, 2 and so on."""

    __slots__ = ()

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [torch.arange(len(each.tokens)) + 1.0 for each in rows]


class Negative(Counted):
    __slots__ = ()

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        above = super().score(sequence, logits, tokens=tokens)
        return None if above is None else -above


class Threefold(Negative):
    __slots__ = ()

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [None if above is None else 3 * above for above in super().score_all(rows)]


class OneMore:
    """A mixin, of all rows; of none that has none."""

    __slots__ = ()

    @classmethod
    def score_all(cls, rows: Any) -> Any:
        found = super().score_all(rows)  # type: ignore[misc]
        return [None if above is None else above + 1 for above in found]


class MoreOfNothing(OneMore, Threshold):
    __slots__ = ()


class MoreNegative(OneMore, Negative):
    __slots__ = ()


class Squares:
    """How sure it is: by the square of tokens."""

    def of(self, logits: Tensor, tokens: Tensor) -> Tensor:
        return tokens**2.0


class RanksSquares(Ranked, Counted):
    """`Ranked` goes first among the bases."""

    confidence = Squares()


class MoreSquares(OneMore, RanksSquares):
    pass


@pytest.mark.parametrize(
    ("kind", "wanted", "at_once"),
    [
        (Threshold, None, False),
        (Counted, [1.0, 2.0], True),
        (Negative, [-1.0, -2.0], False),
        (Threefold, [-3.0, -6.0], True),
        (MoreOfNothing, None, True),
        (MoreNegative, [0.0, -1.0], True),
        (RanksSquares, [9.0, 25.0], False),
        (MoreSquares, [10.0, 26.0], True),
    ],
)
def test_each_rule_above_has_its_say_of_scores(
    model: LLaDAModel, kind: type[Threshold], wanted: list[float] | None, at_once: bool
) -> None:
    rule, logits, tokens = kind(0.1), torch.zeros(2, 8), torch.tensor([3, 5])
    one = row(model, NoCache(), [1, 2], rule=rule)
    sure = probability(logits, tokens)
    asked = [Proposed(rule=rule, sequence=one, logits=logits, tokens=tokens, confidence=sure)] * 2
    expected = None if wanted is None else torch.tensor(wanted)
    found = [*kind.score_all(asked), rule.score(one, logits=logits, tokens=tokens)]
    assert all(own is None if expected is None else torch.equal(own, expected) for own in found)
    assert answers_for_all(kind, "score", Rule) == at_once


def test_one_row_is_scored_with_its_confidence(model: LLaDAModel) -> None:
    class Unsure(Threshold):
        @classmethod
        def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
            return [-each.confidence for each in rows]

    logits, tokens = torch.randn(3, 8, generator=torch.Generator().manual_seed(5)), torch.tensor([3, 5, 0])
    rule = Unsure(0.1)
    one = row(model, NoCache(), [1, 2], rule=rule)
    assert torch.equal(rule.score(one, logits, tokens), -probability(logits, tokens))


@pytest.mark.parametrize("wrong", [lambda rows: [], staticmethod(lambda rows: [])])
@pytest.mark.parametrize("name", ["score_all", "revoke_all", "replace_all"])
def test_a_rule_that_judges_by_no_class_method_is_told_so(name: str, wrong: Any) -> None:
    words = rf"Own.{name} is no class method, .* write @classmethod def {name}\(cls, rows\)"
    for base in (Rule, Threshold, Third):
        with pytest.raises(ContractError, match=words):
            type("Own", (base,), {"__slots__": (), name: wrong})


def test_what_fills_a_class_tells_how_it_is_called() -> None:
    assert Summed.combine.__doc__ == Policy.combine.__doc__
    assert Negated.combine_all.__doc__ == Policy.combine_all.__doc__
    assert Counted.score.__doc__ == Rule.score.__doc__
    assert Negative.score_all.__doc__ == Rule.score_all.__doc__
