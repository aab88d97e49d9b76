"""Of what classes define of one row and of all, the nearest is asked, and classes of others are what they
were."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime import Around, Canvases, LLaDAModel, NoCache, Proposed, Rule, Sequence, Standing, Threshold
from llada_runtime.decoding.answering import answers_for_all
from llada_runtime.reference import follow
from llada_runtime.testing import small_llada
from tests.runtime.test_answering import Negated, Summed
from tests.runtime.test_combining import PROMPTS, decoded, row, told


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


class Backwards(Threshold):
    """Of all rows: the last column first."""

    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [forwards(row.tokens) for row in rows]


def forwards(tokens: Tensor) -> Tensor:
    return torch.arange(len(tokens)) * 1.0


def leftmost(self: Any, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
    return -forwards(tokens)


class Alone:
    """A mixin that tells no class above it of a new one."""

    def __init_subclass__(cls) -> None:
        pass


class Registered(Alone, Backwards):
    score = leftmost


class RegisteredAtOnce(Alone, Threshold):
    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [-forwards(row.tokens) for row in rows]


class Later(Backwards):
    pass


Later.score = leftmost  # type: ignore[method-assign]


class Plain(Threshold):
    score = leftmost


class Called:
    """A callable that is no descriptor."""

    def __call__(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor:
        return -forwards(tokens)


class ByAnObject(Threshold):
    score = Called()


class ByAnObjectThrough(ByAnObject):
    @classmethod
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return super().score_all(rows)


class Wrapped(Threshold):
    @classmethod
    @functools.wraps(Plain.score_all)
    def score_all(cls, rows: list[Proposed]) -> list[Tensor | None]:
        return [-forwards(row.tokens) for row in rows]


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [
        (Registered, False),
        (RegisteredAtOnce, True),
        (Later, False),
        (ByAnObject, False),
        (ByAnObjectThrough, True),
        (Wrapped, True),
    ],
)
def test_the_nearest_is_asked(model: LLaDAModel, kind: type[Threshold], at_once: bool) -> None:
    assert answers_for_all(kind, "score", Rule) == at_once
    rows, plain = (
        [row(model, NoCache(), each, rule=rule(2.0)) for each in PROMPTS] for rule in (kind, Plain)
    )
    assert not decoded(model, rows)[1]
    assert told(rows) == [follow(model, each) for each in plain]
    one, tokens = rows[0], torch.tensor([3, 5])
    if kind is not RegisteredAtOnce:
        assert kind(2.0).score(one, torch.zeros(2, 32), tokens).tolist() == [0.0, -1.0]


class Quiet(Alone, Around):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return -Summed.combine_all(rows, logits)


def test_a_policy_around_that_combines_all_rows_is_asked(model: LLaDAModel) -> None:
    policies = Quiet(Summed()), Negated()
    rows, plain = ([row(model, policy, each) for each in PROMPTS] for policy in policies)
    assert not decoded(model, rows)[1]
    decoded(model, plain)
    assert told(rows) == told(plain)


class Scores:
    """A mixin of some other library."""

    def score(self, *given: Any) -> Any:
        return None


class Evaluator:
    def score_all(self, rows: list[Any]) -> str:
        return f"evaluated {rows}"


class Evaluates(Scores, Evaluator):
    pass


def test_classes_of_others_are_what_they_were() -> None:
    class Mixed(Scores, Threshold):
        pass

    assert Mixed.score_all([]) == []
    assert Evaluates().score_all([1]) == "evaluated [1]"
    assert Evaluates.score_all is Evaluator.score_all
    assert super(Evaluates, Evaluates()).score_all([2]) == "evaluated [2]"
    assert not hasattr(Scores, "score_all")
    assert not hasattr(Scores(), "score_all")


@pytest.mark.parametrize("kind", [str, datetime.date])
def test_a_rule_may_be_of_a_kind_of_pythons_own(kind: type) -> None:
    made = type("Made", (kind, Rule), {"score": leftmost})
    assert not answers_for_all(made, "score", Rule)
    assert made.replace is kind.replace
    assert callable(made.score_all)


def test_what_was_given_follows_what_it_was_given_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a class is made again, as a dataclass with slots is."""

    class Doubting(Threshold):
        revokes = True

        def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
            return [start]

    again = type("Again", (Threshold,), {**vars(Doubting), "revoke": lambda self, *given: [7]})
    asked: Any = [Standing(rule=again(0.5), sequence=None, start=1, logits=torch.zeros(1))]  # type: ignore[arg-type]
    assert again.revoke_all(asked) == [[7]]
    monkeypatch.setattr(again, "revoke", lambda self, *given: [8])
    assert again.revoke_all(asked) == [[8]]
