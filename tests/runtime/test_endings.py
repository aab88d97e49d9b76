"""A policy may end the answer before masks are filled: what is behind becomes the end token, and is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from torch import Tensor

from llada_core import ContractError
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Network,
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


def ending(base: type[Policy], *ends: tuple[int, int]) -> Policy:
    """``base`` that ends the answer before an offset of it, after the forward that is given with it."""

    class Ending(base):  # type: ignore[misc, valid-type]  # a class of the test's choice
        def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
            for forward, offset in ends:
                if sequence.nfe == forward:
                    sequence.end_answer(sequence.prompt_length + offset, EOS)

    return Ending()


def row(model: LLaDAModel, prompt: Iterable[int] = (1, 2, 3), **options: Any) -> Sequence:
    settings: dict[str, Any] = {
        "gen_length": 10, "block_length": 4, "policy": DualCache(), "rule": Quota(4), "early_stop": False,
    }  # fmt: skip
    return Sequence(prompt, model.config, **{**settings, **options})


@pytest.mark.parametrize("base", [NoCache, PrefixCache, DualCache])
def test_masks_before_the_end_are_filled_and_its_steps_tell_all(
    model: LLaDAModel, base: type[Policy]
) -> None:
    ended, alone = (row(model, policy=ending(base, (2, 6))) for _ in range(2))
    plain, plain_alone = row(model, [5, 6]), row(model, [5, 6])
    steps = decoded(model, plain, ended)
    decoded(model, alone)
    decoded(model, plain_alone)
    assert ended.canvas[9:] == [EOS] * 4
    assert MASK not in ended.canvas
    assert (ended.canvas, ended.nfe) == (alone.canvas, alone.nfe)
    assert (plain.canvas, plain.nfe) == (plain_alone.canvas, plain_alone.nfe)
    assert ended.nfe == 4 + 2
    assert replayed(of(ended, steps), [MASK] * ended.gen_length, empty=MASK) == ended.canvas[3:]


def test_later_forwards_see_the_end(model: LLaDAModel) -> None:
    ended, plain = row(model, policy=ending(NoCache, (1, 6))), row(model, policy=NoCache())
    steps = decoded(model, ended, plain)
    told, untold = ([step for step in steps if step.ticket is each.ticket] for each in (ended, plain))
    assert told[0].confidence[0] == untold[0].confidence[0]
    assert told[1].confidence != untold[1].confidence


def test_what_stood_behind_the_end_is_told_as_revoked_and_what_is_written_then_once(
    model: LLaDAModel,
) -> None:
    ended = row(model, policy=ending(NoCache, (2, 1)), rule=Quota(2))
    ended.alternatives = 2
    first, second, *_ = steps = decoded(model, ended)
    stood = {p for p, token in zip(first.positions, first.tokens, strict=True) if p and token != EOS}
    assert set(second.revoked) == stood
    assert stood
    assert set(second.positions) >= stood | set(range(4, 10))
    assert {second.tokens[second.positions.index(p)] for p in range(4, 10)} == {EOS}
    assert {second.confidence[second.positions.index(p)] for p in range(4, 10)} == {1.0}
    assert second.alternatives[-1] == ((EOS, 1.0),)
    assert replayed(of(ended, steps), [MASK] * ended.gen_length, empty=MASK) == ended.canvas[3:]


def test_an_answer_that_ends_earlier_again_and_within_one_forward_ends_there(model: LLaDAModel) -> None:
    ended = row(
        model, policy=ending(NoCache, (1, 7), (1, 5), (3, 4)), rule=Quota(12), gen_length=12, block_length=12
    )
    steps = decoded(model, ended)
    assert ended.canvas[7:] == [EOS] * 8
    assert MASK not in ended.canvas
    assert replayed(of(ended, steps), [MASK] * ended.gen_length, empty=MASK) == ended.canvas[3:]


def test_an_end_at_the_end_of_a_full_block_takes_no_further_forward(model: LLaDAModel) -> None:
    ended = row(model, policy=ending(DualCache, (4, 4)), rule=Quota(4))
    steps = decoded(model, ended)
    assert ended.nfe == 4
    assert steps[-1].finished
    assert steps[-1].settled == 10
    assert ended.canvas[7:] == [EOS] * 6


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_traced_row_tells_the_end_as_certain(model: LLaDAModel, temperature: float) -> None:
    ended = row(model, policy=ending(NoCache, (1, 6)), temperature=temperature, seed=3)
    ended.traced = True
    first, *_ = decoded(model, ended)
    assert first.positions[-4:] == (6, 7, 8, 9)
    assert first.log_probabilities[-4:] == first.drawn_log_probabilities[-4:] == (0.0,) * 4
    assert len(first.log_probabilities) == len(first.drawn_log_probabilities) == len(first.positions)


def test_columns_behind_the_answer_end_too_and_nobody_is_told(model: LLaDAModel) -> None:
    ended = row(model, policy=ending(NoCache, (1, 6)), whole_blocks=True)
    first, *_ = decoded(model, ended)
    assert first.positions[-1] == 9
    assert ended.canvas[9:] == [EOS] * 4


@pytest.mark.parametrize("column", [2, 8, 14])
def test_an_end_before_what_stands_for_good_is_refused(model: LLaDAModel, column: int) -> None:
    fixed = row(model, answer=[None] * 5 + [7] + [None] * 4)
    assert not fixed.may_end(column)
    with pytest.raises(ContractError, match=f"before column {column}"):
        fixed.end_answer(column, EOS)
    assert fixed.may_end(9)


def test_an_end_by_another_token_is_refused(model: LLaDAModel) -> None:
    with pytest.raises(ContractError, match="end by token 7"):
        row(model).end_answer(6, 7)


def test_a_wrong_end_is_its_own_row_s_fault(model: LLaDAModel) -> None:
    wrong, plain = row(model, policy=ending(NoCache, (2, -1))), row(model, rule=Threshold(0.3))
    steps = list(drain(model, [wrong, plain], rows=2))
    (error,) = [step.error for step in steps if step.error]
    assert isinstance(error, ContractError)
    assert plain.finished
    assert MASK not in plain.canvas
