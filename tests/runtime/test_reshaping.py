"""An answer that grows while it is decoded: masks are put in, what is behind moves, and its steps tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError, ParameterError, standard
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Loop,
    Network,
    NoCache,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Sequence,
    StepAlgorithm,
    Threshold,
    drain,
)
from llada_runtime.reference import follow
from llada_runtime.testing import EOS, MASK, FakeNetwork
from tests.support.replaying import decoded, of, replayed

Change = Callable[[Sequence], object]


def growing(base: type[Policy], *changes: tuple[int, Change]) -> Policy:
    """``base`` that changes the sequence after the forwards that are given with each change."""

    class Growing(base):  # type: ignore[misc, valid-type]  # a class of the test's choice
        def after(self, sequence: Sequence, plan: Any, logits: Tensor, network: Network) -> None:
            for forward, change in changes:
                if sequence.nfe == forward:
                    change(sequence)

    return Growing()


def put_in(offset: int, count: int) -> Change:
    return lambda sequence: sequence.insert(sequence.prompt_length + offset, count)


def row(model: Any, prompt: Iterable[int] = (1, 2, 3), **options: Any) -> Sequence:
    settings: dict[str, Any] = {
        "gen_length": 6, "longest": 14, "block_length": 4, "policy": NoCache(), "rule": Quota(4),
        "early_stop": False,
    }  # fmt: skip
    return Sequence(prompt, model.config, **{**settings, **options})


GROWTHS: tuple[tuple[tuple[int, Change], ...], ...] = (
    ((2, put_in(6, 3)),),
    ((1, put_in(3, 2)), (3, put_in(8, 4))),
    ((2, put_in(5, 5)), (2, put_in(4, 2)), (6, put_in(12, 1))),
)


@pytest.mark.parametrize("base", [NoCache, PrefixCache, DualCache])
@pytest.mark.parametrize("changes", GROWTHS, ids=range(len(GROWTHS)))
def test_masks_that_are_put_in_are_filled_and_all_is_told(
    model: LLaDAModel, base: type[Policy], changes: tuple[tuple[int, Change], ...]
) -> None:
    grown, alone = (row(model, policy=growing(base, *changes)) for _ in range(2))
    plain, plain_alone = (
        row(model, [5, 6], gen_length=9, longest=None, policy=DualCache()) for _ in range(2)
    )
    steps = decoded(model, plain, grown)
    for each in (alone, plain_alone):
        decoded(model, each)
    assert grown.gen_length > 6
    assert MASK not in grown.canvas
    assert replayed(of(grown, steps), [MASK] * 6, empty=MASK) == grown.canvas[3:]
    assert [(each.canvas, each.nfe) for each in (grown, plain)] == [
        (each.canvas, each.nfe) for each in (alone, plain_alone)
    ]


@pytest.mark.parametrize("base", [NoCache, DualCache])
def test_the_reference_grows_alike(model: LLaDAModel, base: type[Policy]) -> None:
    grown, written_out = (row(model, policy=growing(base, *GROWTHS[2])) for _ in range(2))
    decoded(model, grown)
    assert follow(model, written_out) == (grown.canvas, grown.nfe)


def test_what_is_put_in_is_seen_where_it_stands() -> None:
    """The canvas that the network sees after it is the one that the answer is."""
    seen: list[list[int]] = []

    def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
        seen.append(canvas.tolist())
        return torch.eye(32)[5 + len(seen)].repeat(hi - lo, 1)

    network = FakeNetwork(propose)
    decoded(network, row(network, gen_length=3, policy=growing(NoCache, (1, put_in(2, 2)))))
    assert seen[:2] == [[1, 2, 3, MASK, MASK, MASK], [1, 2, 3, 6, MASK, MASK, MASK, MASK]]


def test_a_row_that_caches_takes_the_columns_of_its_longest_answer(model: LLaDAModel) -> None:
    policy = growing(DualCache, *GROWTHS[1])
    grown = row(model, policy=policy)
    assert (grown.columns, row(model).columns) == (3 + 14, 0)
    loop = Loop(model, rows=1, columns=16)
    assert "take 17 cached columns, and there is memory for 16" in str(loop.refusal(grown))
    decoded(model, grown)
    assert grown.columns == 3 + 14


def test_what_comes_to_stand_behind_the_longest_answer_is_gone(model: LLaDAModel) -> None:
    changes = ((2, lambda s: s.end_answer(8, EOS)), (3, put_in(4, 7)))
    grown = row(model, longest=8, policy=growing(NoCache, *changes))
    steps = decoded(model, grown)
    assert [step.inserted for step in steps if step.inserted] == [((4, 4),)]
    assert {step.gen_length for step in steps} == {6, 8}
    assert replayed(of(grown, steps), [MASK] * 6, empty=MASK) == grown.canvas[3:]


def test_an_end_that_is_put_in_is_told_where_it_stands(model: LLaDAModel) -> None:
    def end(sequence: Sequence) -> None:
        sequence.insert(9, 2)
        sequence.end_answer(9, EOS)
        sequence.insert(8, 1)

    grown = row(model, policy=growing(NoCache, (2, end)))
    steps = decoded(model, grown)
    (step,) = (step for step in steps if step.inserted)
    assert step.inserted == ((6, 2), (5, 1))
    assert [(at, token) for at, token in zip(step.positions, step.tokens, strict=True) if at > 6] == [
        (7, EOS), (8, EOS),
    ]  # fmt: skip
    assert replayed(of(grown, steps), [MASK] * 6, empty=MASK) == grown.canvas[3:]
    assert grown.canvas[-2:] == [EOS, EOS]


def test_a_forward_that_only_grows_does_not_idle(model: LLaDAModel) -> None:
    changes = [(forward, put_in(6, 1)) for forward in range(1, 9)]

    class Looking(NoCache):
        def plan(self, sequence: Sequence) -> Any:
            return Plan(lo=0, hi=sequence.length, targets=(0, 0) if sequence.nfe < 8 else None)

    grown = row(model, policy=growing(Looking, *changes), idle_limit=2)
    decoded(model, grown)
    assert (grown.gen_length, MASK in grown.canvas) == (14, False)


def test_a_block_may_be_made_as_wide_as_the_answer_has_become(model: LLaDAModel) -> None:
    def grow(sequence: Sequence) -> None:
        sequence.insert(sequence.answer_end, 4)
        sequence.end_block(min(sequence.block_start + 4, sequence.length))

    grown = row(model, gen_length=2, policy=growing(NoCache, (1, grow)))
    steps = decoded(model, grown)
    assert [step.block for step in steps][-1] == 1
    assert grown.gen_length == 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put_in(0, 2), "2 masks were to be put in at column 3; give 1 or more at one from 4, before which"),
        (put_in(7, 1), "to 9"),
        (put_in(6, 0), "0 masks were to be put in"),
        (lambda s: [s.insert(9, 8), s.insert(9, 1)], "an answer that has its 14 positions; look at room"),
    ],
)
def test_masks_that_cannot_be_put_in_are_told(change: Change, told: str) -> None:
    network = FakeNetwork.scripted(7, {column: 1 / (column + 1) for column in range(20)})
    *_, step = drain(network, [row(network, policy=growing(NoCache, (1, change)))], rows=1)
    assert isinstance(step.error, ContractError)
    assert told in str(step.error)


@pytest.mark.parametrize("part", ["plan", "score", "stays"])
@pytest.mark.parametrize(
    ("change", "name"), [(lambda s: s.end_answer(8, EOS), "end_answer"), (put_in(5, 1), "insert")]
)
def test_an_answer_is_changed_after_a_forward_only(
    model: LLaDAModel, change: Change, name: str, part: str
) -> None:
    class Early(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            if part == "plan" and sequence.nfe == 1:
                change(sequence)
            return super().plan(sequence)

        def stays(self, sequence: Sequence) -> bool:
            if part == "stays" and sequence.nfe == 2:
                change(sequence)
            return False

    class Meddling(Quota):
        def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> None:
            if part == "score" and sequence.nfe == 1:
                change(sequence)

    wrong, plain = row(model, policy=Early(), rule=Meddling(4)), row(model, policy=growing(NoCache))
    steps = list(drain(model, [wrong, plain], rows=2))
    (step,) = (step for step in steps if step.error)
    assert step.ticket.row is wrong
    assert f"{name} was called outside of a policy's after; call it there" in str(step.error)
    assert (wrong.nfe, plain.finished) == (1 + (part == "stays"), True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"longest": 4}, "begins with 2 positions more than it may have; give a longest of its gen_length"),
        ({"whole_blocks": True}, "the answer may grow, and whole blocks are decoded behind it"),
        ({"answer": [None] * 5 + [7]}, "the answer may grow, and fixed text in it stays where it stands"),
    ],
)
def test_answers_that_cannot_grow_are_refused(model: LLaDAModel, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError, match=told):
        row(model, **options)


def test_the_longest_answer_must_fit_the_model(model: LLaDAModel) -> None:
    limit = model.config.max_sequence_length
    with pytest.raises(ParameterError, match=f"exceeds the {limit} tokens"):
        row(model, longest=limit)
    assert row(model, longest=limit - 3).room == limit - 3 - 6


class Finding(StepAlgorithm):
    """Begins with two masks, and has one more for every token of its prompt."""

    name, engine, description = "finding", "test", "grows with its prompt"
    parameters = (standard("gen_length"),)

    def policy(self, params: Any) -> Policy:
        return growing(NoCache, (1, lambda s: s.insert(s.answer_end, s.prompt_length)))

    def rule(self, params: Any) -> Any:
        return Threshold(0.5)

    def first_length(self, params: Any) -> int:
        return 2


def test_generate_returns_answers_of_different_lengths_in_one_tensor(model: LLaDAModel) -> None:
    ids, mask = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 10]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    output, _ = Finding().generate(model, ids, attention_mask=mask, gen_length=9)
    alone, _ = Finding().generate(model, ids[:1, 2:], gen_length=9)
    assert (output.shape, alone.shape) == ((2, 4 + 6), (1, 2 + 4))
    assert output[0, 4:8].tolist() == alone[0, 2:].tolist()
    assert output[0, 8:].tolist() == [EOS, EOS]
