"""What a plan may ask for besides its columns: an end, targets, a shift; and blocks of full width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from llada_core import ContractError, ParameterError, Step, standard
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Network,
    NoCache,
    Plan,
    Policy,
    Quota,
    Sequence,
    StepAlgorithm,
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


class Wide(NoCache):
    """Shows its logits: of the block and so many columns on both sides, or of all."""

    def __init__(self, look: int | None, shown: list[torch.Tensor], shift: int) -> None:
        self.look, self.shown, self.shift = look, shown, shift

    def plan(self, sequence: Sequence) -> Plan:
        start, end, shift = sequence.block_start, sequence.block_end, self.shift
        if self.look is None:
            return Plan(lo=0, hi=sequence.length, whole=True, shift=shift)
        look = (start - self.look - shift, min(end + self.look, sequence.length) - shift)
        return Plan(lo=0, hi=sequence.length, look=look, shift=shift)

    def after(self, sequence: Sequence, plan: Plan, logits: torch.Tensor, network: Network) -> None:
        self.shown.append(logits)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("look", [0, 2])
def test_a_policy_sees_the_logits_of_its_look(model: LLaDAModel, look: int, shift: int) -> None:
    shown: list[torch.Tensor] = []
    whole: list[torch.Tensor] = []
    wide, all_, plain = (
        row(model, Wide(look, shown, shift)),
        row(model, Wide(None, whole, shift)),
        row(model, Shifted() if shift else NoCache()),
    )
    steps = decode(model, plain, wide, all_)
    assert not [step.error for step in steps if step.error]
    assert wide.canvas == all_.canvas == plain.canvas
    assert [len(each) for each in shown] == [4 + 2 * look] * 4 + [4 + look] * 4
    for forward, (part, every) in enumerate(zip(shown, whole, strict=True)):
        first = 3 + forward // 4 * 4 - look - shift
        assert torch.allclose(part, every[first : first + len(part)], atol=1e-4)


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


def test_a_forward_that_decides_nothing_takes_no_step_of_the_schedule(model: LLaDAModel) -> None:
    steps = decode(model, row(model, Looking(), rule=Quota(3)))
    assert [len(step.positions) for step in steps] == [0, 2, 0, 1, 0, 1] * 2


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


class Reading(Policy):
    """Caches the prompt, then plans ``plan`` of what is cached and what the block is."""

    caches = True

    def __init__(self, **fields: int) -> None:
        self.fields = fields

    def plan(self, sequence: Sequence) -> Plan:
        start, end = sequence.block_start, sequence.block_end
        if sequence.nfe == 0:
            return Plan(lo=0, hi=start, end=start, writes=True, targets=(start, start), **self.fields)
        return Plan(lo=start, hi=end, reads=True, writes=True, **self.fields)


def test_columns_that_no_forward_has_cached_are_not_read(model: LLaDAModel) -> None:
    (*_, last) = decode(model, row(model, Reading()))
    assert isinstance(last.error, ContractError)
    assert "it reads column 7 from the cache, which no forward of this row has written" in str(last.error)


@pytest.mark.parametrize("stride", [1, 7])
def test_columns_that_a_stride_hides_need_not_be_cached(model: LLaDAModel, stride: int) -> None:
    sequence = row(model, Reading(stride=stride))
    assert [step.error for step in decode(model, sequence)] == [None] * sequence.nfe
    assert MASK not in sequence.canvas


def test_what_was_cached_once_may_be_read_ever_after(model: LLaDAModel) -> None:
    sequence = row(model, DualCache())
    assert decode(model, sequence)[-1].error is None
    assert set(sequence.cached) == {1}
    assert row(model, NoCache()).cached == b""


@pytest.mark.parametrize(
    "fields",
    [
        {"lo": 0.0, "hi": 3},
        {"lo": 0, "hi": True},
        {"lo": 0, "hi": 3, "end": 2.5},
        {"lo": 0, "hi": 3, "stride": "all"},
        {"lo": 0, "hi": 3, "shift": None},
    ],
    ids=str,
)
def test_columns_are_integers(fields: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=r"Plan\(.*\) cannot be run: give columns as integers"):
        Plan(**fields)


def test_a_look_is_two_columns_and_not_beside_the_whole() -> None:
    with pytest.raises(ContractError, match=r"look are \(0, None\); give two columns"):
        Plan(lo=0, hi=3, look=(0, None))  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="and at the whole; give one of the two"):
        Plan(lo=0, hi=3, look=(0, 2), whole=True)


def test_a_block_ends_behind_its_start_and_on_the_canvas(model: LLaDAModel) -> None:
    sequence = row(model, NoCache())
    for column in (0, sequence.block_start, sequence.length + 1):
        with pytest.raises(ContractError, match=f"was to end before column {column}; give one from 4 to 11"):
            sequence.end_block(column)
    sequence.end_block(5)
    assert sequence.block_end == 5


@pytest.mark.parametrize("length", [0, -1, 2.5, True, None])
def test_lengths_are_numbers_of_columns(model: LLaDAModel, length: Any) -> None:
    with pytest.raises(ParameterError, match=r"gen_length=.* is no number of columns; give an integer"):
        row(model, NoCache(), gen_length=length)


def test_without_a_block_length_the_answer_is_one_block(model: LLaDAModel) -> None:
    class Whole(StepAlgorithm):
        parameters = (standard("gen_length"),)

        def policy(self, params: Any) -> Policy:
            return DualCache()

        def rule(self, params: Any) -> Quota:
            return Quota(5)

    ids, nfe = Whole().generate(model, torch.tensor([[1, 2, 3]]), gen_length=20)
    assert (ids.shape, nfe) == ((1, 23), 5)
