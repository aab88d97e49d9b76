"""Streaming-dLLM: the recorded cases of the published code, and what is the runtime's own beside it."""

from __future__ import annotations

from typing import Any

import pytest

import llada_core
from llada_core import ParameterError
from llada_decoders.falling import FallingThreshold
from llada_runtime import LLaDAModel, Plan, Sequence, drain
from llada_runtime.testing import EOS, MASK, small_llada
from tests.decoders.golden_data import Case, check_published, check_stopped, each_case, each_that_stops

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def row(model: LLaDAModel, **given: Any) -> Sequence:
    decoder = llada_core.get_algorithm("streaming")
    answer = given.pop("answer", None)
    params = {"gen_length": 24, "block_length": 4, "window_size": 3, "threshold": 0.3, **given}
    return decoder.sequence(model, [1, 2, 3], decoder.validate_args(**params), answer=answer)


def planned(sequence: Sequence) -> Plan:
    """What the policy of the row plans."""
    plan = sequence.policy.plan(sequence)
    assert isinstance(plan, Plan)
    return plan


@each_case("streaming")
def test_tokens_and_forwards_are_upstreams(case: Case) -> None:
    check_published(case, "streaming", case["params"])


@each_that_stops("streaming")
def test_a_row_ends_at_its_end_token(case: Case) -> None:
    check_stopped(case, "streaming", case["params"])


@pytest.mark.parametrize(
    ("window", "hi", "tail"),
    [(0, 8, 26), (3, 11, 26), (18, 26, 26), (19, 27, None), (20, 27, None), (99, 27, None)],
)
def test_behind_the_block_are_the_window_and_the_last_column(
    model: LLaDAModel, window: int, hi: int, tail: int | None
) -> None:
    plan = planned(row(model, window_size=window))
    assert (plan.lo, plan.hi, plan.tail) == (0, hi, tail)


def test_fixed_text_is_seen(model: LLaDAModel) -> None:
    answer: list[int | None] = [None] * 24
    answer[15] = answer[16] = 7
    plan = planned(row(model, answer=answer))
    assert (plan.hi, plan.tail) == (3 + 17 + 1, 26)
    answer[-1] = 8
    assert planned(row(model, answer=answer)).fed([MASK] * 26 + [8])[-1] == 8


def test_the_threshold_falls_with_the_masks_but_not_in_a_first_forward(model: LLaDAModel) -> None:
    rule, sequence = FallingThreshold(0.8, 0.5), row(model)
    assert rule.now(sequence) == 0.8
    sequence.cached_block = sequence.block
    sequence.commit([], [])
    assert rule.now(sequence) == 0.8  # 8 columns, all of them masks
    sequence.commit([4, 6], [5, 5])
    assert rule.now(sequence) == pytest.approx(0.8 * (1 - 0.5 * 2 / 8))


def test_the_answer_ends_with_the_block_that_holds_an_end_token(model: LLaDAModel) -> None:
    sequence = row(model, early_stop=False)
    sequence.canvas[3:7] = [5, EOS, 6, MASK]
    (step,) = [next(iter(drain(model, [sequence], rows=1)))]
    assert (sequence.canvas[3:6], step.finished, sequence.nfe) == ([5, EOS, 6], True, 1)
    assert sequence.canvas[7:] == [EOS] * 20
    assert step.positions == (3, *range(4, 24))


def test_what_early_stop_turns_off_is_said() -> None:
    """Nothing lets it decode every position: the answer ends with the block, as above."""
    (told,) = (each for each in llada_core.get_algorithm("streaming").parameters if each.name == "early_stop")
    assert "where the answer ends in any case" in told.summary


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"window_size": -1}, "window_size"),
        ({"confidence_alpha": 1.5}, "confidence_alpha"),
        ({"tail": 3}, "tail"),
    ],
)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        llada_core.get_algorithm("streaming").validate_args(**given)
