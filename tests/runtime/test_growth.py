"""What a sequence can say beyond filling masks once: holes, tokens that are given back, and several canvases.

Each is shown by a small algorithm, batched with ordinary rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError, PromptError
from llada_runtime import (
    BestFirst,
    DualCache,
    LLaDAModel,
    NoCache,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Sequence,
    Threshold,
    drain,
)
from llada_runtime.testing import EOS, MASK
from tests.support.replaying import decoded, of, replayed


def row(model: LLaDAModel, prompt: Iterable[int] = (1, 2, 3), **options: Any) -> Sequence:
    settings: dict[str, Any] = {
        "gen_length": 10, "block_length": 4, "policy": DualCache(), "rule": Threshold(0.3),
        "early_stop": False,
    }  # fmt: skip
    return Sequence(prompt, model.config, **{**settings, **options})


# -- holes: fixed tokens anywhere in the answer

HOLES: list[list[int | None]] = [
    [7, None, None, 8, None, None, 9, 9, None, 5],
    [None] * 4 + [6] * 4 + [None] * 2,
    [None] * 8 + [6, 6],
    [6] * 4 + [None] * 6,
    [EOS, None, EOS, None, 7, None, None, None, None, None],
]


@pytest.mark.parametrize("policy", [NoCache(), PrefixCache(), DualCache()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("answer", HOLES, ids=range(len(HOLES)))
def test_holes_are_filled_and_fixed_text_stands(
    model: LLaDAModel, answer: list[int | None], policy: Policy
) -> None:
    holed = row(model, policy=policy, answer=answer)
    alone = row(model, policy=policy, answer=answer)
    plain = row(model, [5, 6])
    steps = decoded(model, plain, holed)
    decoded(model, alone)
    filled = holed.canvas[3:]
    assert (holed.canvas, holed.nfe) == (alone.canvas, alone.nfe)
    assert all(given in (None, token) for given, token in zip(answer, filled, strict=True))
    assert MASK not in filled
    told = sorted(p for step in steps if step.ticket is holed.ticket for p in step.positions)
    assert told == [position for position, given in enumerate(answer) if given is None]
    start = [MASK if given is None else given for given in answer]
    assert replayed(of(holed, steps), start, empty=MASK) == filled


def test_blocks_that_are_full_from_the_beginning_take_no_forward(model: LLaDAModel) -> None:
    holed = row(model, answer=[None] * 4 + [6] * 4 + [None] * 2, rule=Quota(4))
    steps = decoded(model, holed)
    assert holed.nfe == 4 + 2
    assert {step.block for step in steps} == {0, 2}


def test_an_answer_without_a_hole_is_finished_without_a_forward(model: LLaDAModel) -> None:
    full = row(model, answer=[6] * 10)
    (step,) = decoded(model, full)
    assert (step.finished, step.nfe, step.settled, step.positions) == (True, 0, 10, ())
    assert full.canvas == [1, 2, 3] + [6] * 10


def test_an_end_of_sequence_ends_an_answer_only_behind_its_fixed_text(model: LLaDAModel) -> None:
    answer: list[int | None] = [None, 7, None, None, None, None, None, None, None, None]
    holed = row(model, answer=answer, early_stop=True)
    holed.commit([3], [EOS])
    holed.advance()
    assert not holed.finished
    holed.commit([5], [EOS])
    holed.advance()
    assert holed.finished
    assert holed.canvas[3:] == [EOS, 7] + [EOS] * 8


# -- revoke: tokens that stand become masks again


class Wavering(BestFirst):
    """Fills two at a time; in every third forward takes back the first that stands, five times at most."""

    revokes = True

    def begin(self) -> list[int]:
        return []

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return open_counts.clamp(max=2)

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        taken: list[int] = sequence.rule_state
        standing = [c for c in range(sequence.block_start, sequence.block_end) if sequence.may_revoke(c)]
        if sequence.nfe % 3 != 1 or len(taken) == 5 or not standing:
            return ()
        taken.append(standing[0])
        return standing[:1]


@pytest.mark.parametrize("policy", [NoCache(), PrefixCache(), DualCache()], ids=lambda p: type(p).__name__)
def test_a_row_gives_back_and_its_neighbours_do_not_notice(model: LLaDAModel, policy: Policy) -> None:
    wavering, alone = (row(model, policy=policy, rule=Wavering(), gen_length=12) for _ in range(2))
    plain, plain_alone = row(model, [5, 6]), row(model, [5, 6])
    steps = decoded(model, plain, wavering)
    decoded(model, alone)
    decoded(model, plain_alone)
    assert (wavering.canvas, wavering.nfe) == (alone.canvas, alone.nfe)
    assert (plain.canvas, plain.nfe) == (plain_alone.canvas, plain_alone.nfe)
    revoked = [3 + position for step in steps for position in step.revoked]
    assert 2 <= len(revoked) <= 5
    assert wavering.rule_state is None  # what only decoding needs is gone
    assert replayed(of(wavering, steps), [MASK] * 12, empty=MASK) == wavering.canvas[3:]
    settled = {step.settled for step in steps if step.ticket is wavering.ticket}
    assert settled == {0, 4, 8, 12}  # whole blocks: what stands in an open one may be taken back


def test_an_end_of_sequence_in_an_open_block_may_still_be_taken_back(model: LLaDAModel) -> None:
    wavering = row(model, rule=Wavering(), early_stop=True)
    wavering.commit([3], [EOS])
    wavering.advance()
    assert not wavering.finished
    wavering.commit([4, 5, 6], [7, 7, 7])
    wavering.advance()
    assert wavering.finished
    assert wavering.canvas[3:] == [EOS] * 10


@pytest.mark.parametrize("column", [0, 3, 8], ids=["prompt", "mask", "another block"])
def test_what_cannot_be_given_back_is_told(model: LLaDAModel, column: int) -> None:
    class Wrong(Quota):
        __slots__ = ()
        revokes = True

        def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
            return [column]

    (step,) = drain(model, [row(model, rule=Wrong(4))], rows=1)
    assert isinstance(step.error, ContractError)
    assert f"Wrong takes back column {column}; give columns from 3 to 6 that hold a token" in str(step.error)


class Editing(Wavering):
    """Fills two at a time; replaces one that stands by the token after it in number, once."""

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        return ()

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        standing = [c for c in range(sequence.block_start, sequence.block_end) if sequence.may_revoke(c)]
        if sequence.rule_state or len(standing) < 2:
            return {}
        sequence.rule_state.append(standing[0])
        return {standing[0]: (sequence.canvas[standing[0]] + 1) % 29}


def test_a_token_that_stands_is_replaced_and_the_step_says_which(model: LLaDAModel) -> None:
    edited, alone, plain = row(model, rule=Editing()), row(model, rule=Editing()), row(model, [5, 6])
    steps = decoded(model, plain, edited)
    decoded(model, alone)
    (step,) = (step for step in steps if step.revoked)
    assert set(step.revoked) < set(step.positions)
    assert list(step.positions) == sorted(step.positions)
    assert all(0 < sure <= 1 for sure in step.confidence)
    assert replayed(of(edited, steps), [MASK] * 10, empty=MASK) == edited.canvas[3:] == alone.canvas[3:]


def test_the_likeliest_are_told_of_a_token_that_replaces_another_too(model: LLaDAModel) -> None:
    edited, plain = row(model, rule=Editing()), row(model, rule=Editing())
    edited.alternatives = 3
    steps = decoded(model, plain, edited)
    assert edited.canvas == plain.canvas
    for step in steps:
        wanted = len(step.positions) if step.ticket is edited.ticket else 0
        assert len(step.alternatives) == wanted
        for sure, likeliest in zip(step.confidence, step.alternatives, strict=bool(wanted)):
            ids, chances = zip(*likeliest, strict=True)
            assert len(set(ids)) == 3
            assert MASK not in ids
            assert list(chances) == sorted(chances, reverse=True)
            assert sure <= chances[0]


@pytest.mark.parametrize("token", [MASK, 32, -1])
def test_only_a_token_can_stand_in_anothers_place(model: LLaDAModel, token: int) -> None:
    class Wrong(Editing):
        def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
            return dict.fromkeys(super().replace(sequence, start, logits), token)

    *_, step = drain(model, [row(model, rule=Wrong())], rows=1)
    assert f"Wrong.replace named [{token}]; give ids of the vocabulary" in str(step.error)


def test_what_a_revoking_rule_wrote_behind_its_block_is_not_settled(model: LLaDAModel) -> None:
    wavering = row(model, rule=Wavering())
    wavering.commit([3, 4, 5, 6, 7, 8], [7] * 6)
    wavering.advance()
    assert (wavering.block, wavering.settled) == (1, 4)


# -- two canvases: classifier-free guidance


class Guided(NoCache):
    """Guidance: ``logits + w · (logits - logits with the prompt masked)``, two canvases a forward."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def plan(self, sequence: Sequence) -> Plan:
        masked = [MASK] * sequence.prompt_length + sequence.canvas[sequence.prompt_length :]
        return Plan(lo=0, hi=sequence.length, canvases=(tuple(masked),))

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        with_prompt, without = logits
        return with_prompt + self.weight * (with_prompt - without)


def guided_by_hand(model: LLaDAModel, prompt: list[int], weight: float) -> list[int]:
    """One token a step, the likeliest of the block, in plain arithmetic."""
    canvas = prompt + [MASK] * 8
    for start in range(len(prompt), len(canvas), 4):
        for _ in range(4):
            both = torch.tensor([canvas, [MASK] * len(prompt) + canvas[len(prompt) :]])
            with_prompt, without = model(both)[:, start : start + 4]
            logits = with_prompt + weight * (with_prompt - without)
            logits[:, MASK] = -torch.inf
            sure, tokens = logits.double().softmax(-1).max(-1)
            sure[torch.tensor([token != MASK for token in canvas[start : start + 4]])] = -1
            best = int(sure.argmax())
            canvas[start + best] = int(tokens[best])
    return canvas


@pytest.mark.parametrize("weight", [0.0, 1.5, 4.0])
def test_two_canvases_decide_as_one(model: LLaDAModel, weight: float) -> None:
    draw = random.Random(7)
    prompts = [[draw.randrange(29) for _ in range(draw.randint(1, 6))] for _ in range(3)]
    guided = [row(model, p, gen_length=8, policy=Guided(weight), rule=Quota(4)) for p in prompts]
    plain, alone = row(model, [5, 6]), row(model, [5, 6])
    decoded(model, guided[0], plain, *guided[1:])
    decoded(model, alone)
    assert [g.canvas for g in guided] == [guided_by_hand(model, p, weight) for p in prompts]
    assert [g.nfe for g in guided] == [8] * 3
    assert plain.canvas == alone.canvas


def test_a_sequence_tells_what_was_given_from_what_is_generated(model: LLaDAModel) -> None:
    asked = row(model, [5, 6], gen_length=4, answer=[None, 7, None, None], end_ids=[3])
    asked.commit([2], [9])
    assert [asked.is_given(column) for column in range(6)] == [True, True, False, True, False, False]
    assert (asked.eos_ids, asked.end_ids) == ({EOS}, {3})


def test_a_policy_of_several_canvases_must_say_which_counts(model: LLaDAModel) -> None:
    class Careless(Guided):
        combine = Policy.combine

    (step,) = drain(model, [row(model, policy=Careless(1.0))], rows=1)
    assert (
        "Careless has canvases to combine; define combine or combine_all, which no class above it does"
        in str(step.error)
    )


def test_a_block_may_be_ended_once_its_logits_are_seen(model: LLaDAModel) -> None:
    class Cutting(NoCache):
        def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
            if sequence.block == 0 and sequence.nfe == 1:
                sequence.end_block(sequence.block_start + 2)

    cut = row(model, policy=Cutting(), rule=Quota(1))
    steps = decoded(model, cut)
    assert [step.block for step in steps][:2] == [0, 1]
    assert sorted(p for step in steps for p in step.positions) == list(range(10))


def test_many_blocks_that_are_full_are_passed_over(model: LLaDAModel) -> None:
    answer: list[int | None] = [*[6] * 2000, None]
    long = Sequence(
        [1], Long(model), gen_length=2001, block_length=1, policy=NoCache(), rule=Quota(1), answer=answer
    )  # fmt: skip
    assert (long.block, long.block_start) == (2000, 2001)


class Long:
    """The config of a model with a limit that is far away."""

    def __init__(self, model: LLaDAModel) -> None:
        config = model.config
        self.mask_token_id, self.eos_ids = config.mask_token_id, config.eos_ids
        self.embedding_size, self.max_sequence_length = config.embedding_size, 10_000


@pytest.mark.parametrize(
    ("answer", "told"),
    [([7] * 9, "has 9 positions and gen_length is 10"), ([MASK] * 10, "mask token"), ([32] * 10, "id 32")],
)
def test_an_answer_that_cannot_stand_is_refused(model: LLaDAModel, answer: list[int], told: str) -> None:
    with pytest.raises(PromptError, match=told):
        row(model, answer=answer)


def test_blocks_end_where_the_policy_says(model: LLaDAModel) -> None:
    class Growing(NoCache):
        def block_end(self, sequence: Sequence) -> int | None:
            return min(sequence.block_start + 1 + 2 * sequence.block, sequence.length)

    grown = row(model, policy=Growing(), rule=Quota(1))
    steps = decoded(model, grown)
    assert [step.positions for step in steps] == [(0,), (1, 2, 3), (4, 5, 6, 7, 8), (9,)]
