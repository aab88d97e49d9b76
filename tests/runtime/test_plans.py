"""What a plan may ask for besides its columns: an end, targets, a shift; and blocks of full width."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from llada_core import Step
from llada_runtime import (
    DualCache,
    LLaDAModel,
    NoCache,
    Plan,
    Policy,
    Quota,
    Sequence,
    Threshold,
    drain,
)
from llada_runtime.testing import MASK


class Shifted(NoCache):
    """Every token is predicted by the logits one column before it."""

    def plan(self, sequence: Sequence) -> Plan:
        return replace(super().plan(sequence), shift=1)


class Ending(NoCache):
    """What is behind the block does not exist yet."""

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.block_end, end=sequence.block_end)


class Looking(Ending):
    """Every other forward decides nothing."""

    def plan(self, sequence: Sequence) -> Plan:
        plan = super().plan(sequence)
        return replace(plan, targets=(plan.hi, plan.hi)) if sequence.nfe % 2 == 0 else plan


def row(model: LLaDAModel, policy: Policy, gen_length: int = 8, **options: object) -> Sequence:
    settings = {"block_length": 4, "rule": Quota(4), "early_stop": False, **options}
    return Sequence([1, 2, 3], model.config, gen_length=gen_length, policy=policy, **settings)  # type: ignore[arg-type]


def decode(model: LLaDAModel, *rows: Sequence) -> list[Step]:
    return list(drain(model, rows, rows=len(rows)))


def proposed(model: LLaDAModel, canvas: list[int], column: int) -> int:
    logits = model(torch.tensor([canvas]))[0, column].clone()
    logits[MASK] = -torch.inf
    return int(logits.argmax())


@pytest.mark.parametrize(("policy", "shift"), [(NoCache(), 0), (Shifted(), 1)])
def test_a_token_comes_from_the_logits_that_the_shift_says(
    model: LLaDAModel, policy: Policy, shift: int
) -> None:
    canvas = [1, 2, 3] + [MASK] * 8
    for step in decode(model, row(model, policy)):
        for position, token in zip(step.positions, step.tokens, strict=True):
            assert token == proposed(model, canvas, 3 + position - shift)
        for position, token in zip(step.positions, step.tokens, strict=True):
            canvas[3 + position] = token


def test_behind_the_end_nothing_is_seen(model: LLaDAModel) -> None:
    def sure(policy: Policy, gen_length: int) -> list[tuple[float, ...]]:
        return [step.confidence for step in decode(model, row(model, policy, gen_length))[:4]]

    assert sure(Ending(), 8) == sure(Ending(), 4)
    assert sure(NoCache(), 8) != sure(NoCache(), 4)


def test_a_forward_may_decide_nothing(model: LLaDAModel) -> None:
    looking, plain = row(model, Looking(), rule=Threshold(0.0)), row(model, Ending(), rule=Threshold(0.0))
    steps = decode(model, looking)
    decode(model, plain)
    assert looking.canvas == plain.canvas
    assert [len(step.positions) for step in steps] == [0, 4, 0, 4]
    assert looking.nfe == 4


def test_rows_that_decide_nothing_run_beside_rows_that_do(model: LLaDAModel) -> None:
    alone = [row(model, policy()) for policy in (Looking, DualCache, Shifted)]
    for each in alone:
        decode(model, each)
    together = [row(model, policy()) for policy in (Looking, DualCache, Shifted)]
    decode(model, *together)
    assert [each.canvas for each in together] == [each.canvas for each in alone]
    assert [each.nfe for each in together] == [each.nfe for each in alone]


@pytest.mark.parametrize("gen_length", [1, 5, 6, 8])
def test_whole_blocks_decode_the_answer_as_part_of_a_longer_one(model: LLaDAModel, gen_length: int) -> None:
    cut = row(model, Ending(), gen_length, whole_blocks=True, rule=Threshold(0.2))
    whole = row(model, Ending(), 8 if gen_length > 4 else 4, rule=Threshold(0.2))
    steps = decode(model, cut)
    decode(model, whole)
    assert cut.canvas == whole.canvas[: 3 + gen_length]
    told = sorted(position for step in steps for position in step.positions)
    assert told == list(range(gen_length))
    assert cut.nfe <= whole.nfe


def test_a_whole_block_ends_as_soon_as_the_answer_is_complete(model: LLaDAModel) -> None:
    cut = row(model, Ending(), 1, whole_blocks=True, rule=Threshold(0.0))
    decode(model, cut)
    assert (cut.nfe, len(cut.canvas)) == (1, 4)
    slow = row(model, Ending(), 1, whole_blocks=True)
    decode(model, slow)
    assert slow.nfe <= 4
    assert MASK not in slow.canvas


def test_only_the_answer_must_fit_the_model(model: LLaDAModel) -> None:
    limit = model.config.max_sequence_length
    fitting = row(model, Ending(), limit - 3, whole_blocks=True, block_length=60)
    assert fitting.length > limit
    assert fitting.answer_end == limit


def test_a_schedule_may_begin_anew_within_a_block(model: LLaDAModel) -> None:
    sequence = row(model, NoCache())
    sequence.commit([3], [5])
    sequence.begin_schedule()
    assert (sequence.block_open, sequence.block_nfe, sequence.nfe) == (3, 0, 1)
