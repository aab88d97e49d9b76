"""A policy class that combines all of its rows sees them at once, and its rows are those of one that does
not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_core.testing import ConformanceError
from llada_runtime import (
    Around,
    Canvases,
    DualCache,
    LLaDAModel,
    Loop,
    NoCache,
    Plan,
    Policy,
    Quota,
    Sequence,
    Threshold,
)
from llada_runtime.decoding import glance
from llada_runtime.network import likeliest
from llada_runtime.reference import follow
from llada_runtime.testing import check_policy
from tests.support.likeliest import plain_likeliest

PROMPTS = [[1, 2, 3], [4, 5], [6], [9, 8, 7, 6], [5, 5, 1, 2, 3, 4]]


class Blended(NoCache):
    """Its logits are those of the canvas plus ``weights`` times those of as many others, shifted ones."""

    def __init__(self, *weights: float) -> None:
        self.weights = weights

    def plan(self, sequence: Sequence) -> Plan:
        ids, count = sequence.canvas, len(self.weights)
        others = [tuple(ids[at + 1 :] + ids[: at + 1]) for at in range(count)]
        return Plan(lo=0, hi=sequence.length, canvases=tuple(others))

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        made, *others = logits
        for weight, other in zip(self.weights, others, strict=True):
            made = made + weight * other
        return made


class BlendedAtOnce(Blended):
    """The same, of all rows by one product. ``asked`` are the rows that it was asked for."""

    asked: list[list[Canvases]]

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        cls.asked.append(rows)
        made = torch.zeros(sum(row.width for row in rows), logits.shape[-1])
        lo = first = 0
        for row in rows:
            assert isinstance(row.policy, cls)
            own = logits[first : first + row.columns].view(row.count, row.width, -1)
            made[lo : lo + row.width] = Blended.combine(row.policy, row.sequence, row.plan, own)
            lo, first = lo + row.width, first + row.columns
        assert first == len(logits)
        return made


@pytest.fixture(autouse=True)
def asked() -> list[list[Canvases]]:
    BlendedAtOnce.asked = []
    return BlendedAtOnce.asked


def row(model: LLaDAModel, policy: Policy, prompt: list[int], **options: Any) -> Sequence:
    given = {"gen_length": 10, "block_length": 4, "rule": Threshold(0.1), "early_stop": False, **options}
    return Sequence(prompt, model.config, policy=policy, **given)


def decoded(model: LLaDAModel, rows: list[Sequence]) -> tuple[int, dict[Sequence, Exception]]:
    """How many steps it took, and whose error which is."""
    loop, steps, errors = Loop(model, rows=len(rows)), 0, {}
    for each in rows:
        assert loop.admit(each)
    while loop.active:
        steps += 1
        errors |= {step.ticket.row: step.error for step in loop.step() if step.error is not None}
    return steps, errors


def told(rows: list[Sequence]) -> list[tuple[list[int], int]]:
    return [(each.canvas, each.nfe) for each in rows]


def mixed(model: LLaDAModel, kind: type[Blended]) -> list[Sequence]:
    """Rows of different widths and numbers of canvases, one of another policy and one around among them."""
    policies = [kind(0.5), kind(-0.5, 0.25), DualCache(), Around(Around(kind(1.0))), kind(0.75)]
    pairs = enumerate(zip(policies, PROMPTS, strict=True))
    return [row(model, policy, prompt, gen_length=10 - at) for at, (policy, prompt) in pairs]


def test_all_rows_are_seen_at_once_and_are_those_that_are_asked_one_by_one(
    model: LLaDAModel, asked: list[list[Canvases]]
) -> None:
    plain, at_once = mixed(model, Blended), mixed(model, BlendedAtOnce)
    decoded(model, plain)
    assert not asked
    steps, errors = decoded(model, at_once)
    assert not errors
    assert told(at_once) == told(plain)
    assert len(asked) == steps
    assert [each.sequence for each in asked[0]] == [at_once[at] for at in (0, 1, 3, 4)]


def test_a_row_alone_is_what_it_is_beside_others(model: LLaDAModel) -> None:
    together = mixed(model, BlendedAtOnce)
    decoded(model, together)
    assert told(together) == [follow(model, alone) for alone in mixed(model, BlendedAtOnce)]


class Tripping(BlendedAtOnce):
    """Raises, or returns something else, where a row that begins with ``on`` is among those it sees."""

    on = 6

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        if any(each.sequence.canvas[0] == cls.on for each in rows):
            return cls.trip(logits)
        return super().combine_all(rows, logits)

    @classmethod
    def trip(cls, logits: Tensor) -> Any:
        raise KeyError("tripped")


class TripsByShape(Tripping):
    @classmethod
    def trip(cls, logits: Tensor) -> Any:
        return logits


class TripsByIds(Tripping):
    @classmethod
    def trip(cls, logits: Tensor) -> Any:
        return logits.argmax(-1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Tripping, "tripped"),
        (
            TripsByShape,
            r"TripsByShape.combine_all returned a tensor \[8, 32\] .* return logits \[4, 32\] on cpu",
        ),
        (TripsByIds, r"TripsByIds.combine_all returned a tensor \[8\]"),
    ],
)
def test_the_culprit_of_several_rows_fails_alone(model: LLaDAModel, kind: type[Blended], words: str) -> None:
    rows, plain = ([row(model, each(0.5), prompt) for prompt in PROMPTS] for each in (kind, Blended))
    decoded(model, plain)
    _, errors = decoded(model, rows)
    assert list(errors) == [rows[2]]
    with pytest.raises((KeyError, ContractError), match=words):
        raise errors[rows[2]]
    assert told(rows[:2] + rows[3:]) == told(plain[:2] + plain[3:])


@pytest.mark.parametrize("wrong", [lambda rows, logits: logits, staticmethod(lambda rows, logits: logits)])
@pytest.mark.parametrize("base", [Blended, BlendedAtOnce, Around, Policy])
def test_one_that_is_no_class_method_is_told_so(wrong: Any, base: type[Policy]) -> None:
    words = r"Own.combine_all is no class method, .* write @classmethod def combine_all\(cls, rows, logits\)"
    with pytest.raises(ContractError, match=words):
        type("Own", (base,), {"combine_all": wrong})
    mixin = type("Own", (), {"combine_all": wrong})
    with pytest.raises(ContractError, match=words):
        type("Mixed", (mixin, base), {})


def test_where_memory_runs_out_fewer_rows_share_a_forward(
    model: LLaDAModel, asked: list[list[Canvases]]
) -> None:
    class Large(BlendedAtOnce):
        @classmethod
        def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
            if len(rows) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().combine_all(rows, logits)

    rows, plain = ([row(model, kind(0.5), prompt) for prompt in PROMPTS] for kind in (Large, Blended))
    decoded(model, plain)
    _, errors = decoded(model, rows)
    assert not errors
    assert told(rows) == told(plain)
    assert max(map(len, asked)) == 2


class Doubled(BlendedAtOnce):
    """Says of one row what becomes of it: so it is asked of each."""

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return 2 * super().combine(sequence, plan, logits)


class DoubledAround(Around):
    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return 2 * super().combine(sequence, plan, logits)


class DoubledAllAround(Around):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return 2 * super().combine_all(rows, logits)


def test_what_a_subclass_or_one_around_it_says_of_rows_counts(
    model: LLaDAModel, asked: list[list[Canvases]]
) -> None:
    of_one = [
        Doubled(0.5),
        DoubledAround(BlendedAtOnce(0.5)),
        DoubledAllAround(BlendedAtOnce(0.5)),
        Around(DoubledAllAround(BlendedAtOnce(0.5))),
        DoubledAround(DoubledAllAround(Blended(0.25, 0.25))),
    ]
    for policy in of_one:
        rows = [row(model, policy, prompt, rule=Quota(4)) for prompt in PROMPTS[:2]]
        if not isinstance(policy, Doubled):
            assert check_policy(policy)
        asked.clear()
        assert not decoded(model, rows)[1]
        assert all(len(each) == 1 for each in asked)
        assert told(rows) == [
            follow(model, row(model, policy, prompt, rule=Quota(4))) for prompt in PROMPTS[:2]
        ]


class Sharpened(NoCache):
    """Combines one canvas too: logits are what they are times ``by``; it remembers how many it has seen."""

    combines_one = True

    def __init__(self, by: float) -> None:
        self.by = by

    def begin(self) -> list[int]:
        return []

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        for each in rows:
            assert each.count == 1
            each.sequence.policy_state.append(each.columns)
        by = [row.policy.by for row in rows for _ in range(row.columns) if isinstance(row.policy, cls)]
        return logits * torch.tensor(by)[:, None]


@pytest.mark.parametrize("around", [False, True])
def test_a_class_may_look_at_every_forward(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, around: bool
) -> None:
    """Also where a glance at the likeliest would be enough for its rule."""
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(likeliest, "kernels", SimpleNamespace(likeliest=plain_likeliest))
    policies: list[Policy] = [Sharpened(-1.0), Sharpened(2.0), NoCache()]
    if around:
        policies = [Around(policy) for policy in policies]
    rows = [row(model, *each, rule=Quota(2)) for each in zip(policies, PROMPTS[:3], strict=True)]
    states = [each.policy_state for each in rows[:2]]
    assert not decoded(model, rows)[1]
    assert [len(state) for state in states] == [each.nfe for each in rows[:2]]
    assert set(states[0]) == {4, 2}
    alone = [row(model, *each, rule=Quota(2)) for each in zip(policies, PROMPTS[:3], strict=True)]
    assert told(rows) == [follow(model, each) for each in alone]
    assert rows[0].canvas != follow(model, row(model, NoCache(), PROMPTS[0], rule=Quota(2)))[0]


class TheFirstsWeight(BlendedAtOnce):
    """Takes what its first row has for what all have."""

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        first, parts = rows[0], logits.split([row.columns for row in rows])
        canvases = [part.view(row.count, row.width, -1) for row, part in zip(rows, parts, strict=True)]
        return torch.cat([each[0] - each[1] * first.sequence.prompt_length for each in canvases])


class OutOfOrder(BlendedAtOnce):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return super().combine_all(rows, logits).flip(0)


@pytest.mark.parametrize("kind", [TheFirstsWeight, OutOfOrder])
def test_the_kit_finds_one_that_mixes_rows(kind: type[Blended]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_policy(kind(0.5))
    assert "its policy serves rows as if each were alone" in [each.check for each in caught.value.failures]
    assert check_policy(BlendedAtOnce(0.5))
    assert check_policy(Sharpened(-1.0))
