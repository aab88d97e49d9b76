"""Sequences and the loop: lengths, stopping, admission, cancellation."""

from __future__ import annotations

import pytest
import torch

from llada_core.errors import PromptError, UsageError
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Loop,
    NoCache,
    Policy,
    PrefixCache,
    Quota,
    Sequence,
    Threshold,
    drain,
)
from llada_runtime.testing import EOS, MASK

POLICIES: list[Policy] = [NoCache(), PrefixCache(), DualCache()]


def sequence(model: LLaDAModel, prompt: list[int] | None = None, **options: object) -> Sequence:
    defaults = {
        "gen_length": 10, "block_length": 4, "policy": DualCache(), "rule": Quota(4), "early_stop": False,
    }  # fmt: skip
    return Sequence([1, 2, 3] if prompt is None else prompt, model.config, **{**defaults, **options})  # type: ignore[arg-type]


def finish(model: LLaDAModel, *sequences: Sequence, rows: int = 8) -> None:
    for _ in drain(model, sequences, rows=rows):
        pass


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_a_short_last_block_is_decoded_and_nothing_stays_masked(model: LLaDAModel, policy: Policy) -> None:
    row = sequence(model, policy=policy)
    finish(model, row)
    assert len(row.canvas) == 13
    assert MASK not in row.canvas
    assert row.nfe == 4 + 4 + 2


def test_steps_tell_everything_that_was_committed(model: LLaDAModel) -> None:
    row = sequence(model, rule=Threshold(0.3))
    steps = list(drain(model, [row], rows=1))
    told = {p: t for step in steps for p, t in zip(step.positions, step.tokens, strict=True)}
    assert [told[p] for p in range(10)] == row.canvas[3:]
    assert [step.nfe for step in steps] == list(range(1, row.nfe + 1))
    assert [step.finished for step in steps] == [False] * (row.nfe - 1) + [True]
    assert all(0 < c <= 1 for step in steps for c in step.confidence)
    assert {p // 4 for step in steps for p in step.positions if step.block == 1} == {1}


def eos_model(write_checkpoint, column: float) -> LLaDAModel:
    """A model that proposes EOS everywhere (large positive) or nowhere (large negative)."""
    head = torch.zeros(32, 16)
    head[EOS] = column
    norm = torch.zeros(16)
    wte = torch.ones(32, 16)
    return LLaDAModel.from_pretrained(
        write_checkpoint(
            weights={
                "model.transformer.ff_out.weight": head,
                "model.transformer.ln_f.weight": norm + 1,
                "model.transformer.wte.weight": wte,
                **{
                    f"model.transformer.blocks.{n}.{name}.weight": torch.zeros(16, width)
                    for n in range(2)
                    for name, width in (("attn_out", 16), ("ff_out", 24))
                },
            }
        )
    )


def test_early_stop_ends_at_the_first_eos_and_fills_the_rest(write_checkpoint) -> None:
    model = eos_model(write_checkpoint, 1.0)
    row = sequence(model, early_stop=True)
    finish(model, row)
    assert row.nfe == 1
    assert row.canvas[3:] == [EOS] * 10


def test_an_eos_behind_a_mask_does_not_stop(model: LLaDAModel) -> None:
    row = sequence(model, early_stop=True)
    row.commit([4], [EOS])
    row.advance()
    assert not row.finished
    row.commit([3], [7])
    row.advance()
    assert row.finished
    assert row.canvas[3:] == [7] + [EOS] * 9


def test_a_row_stops_at_any_of_its_end_ids_and_at_no_other(model: LLaDAModel) -> None:
    row = sequence(model, early_stop=True, end_ids=[7, 9])
    row.commit([3, 4], [EOS, 5])
    row.advance()
    assert not row.finished
    row.commit([5], [9])
    row.advance()
    assert row.finished
    assert row.canvas[3:] == [EOS, 5] + [9] * 8


def test_without_early_stop_every_position_is_decoded(write_checkpoint) -> None:
    model = eos_model(write_checkpoint, 1.0)
    row = sequence(model)
    finish(model, row)
    assert row.nfe == 10


def test_a_cancelled_row_leaves_after_the_step_in_flight(model: LLaDAModel) -> None:
    gone, stays = sequence(model), sequence(model, [4, 5])
    alone = sequence(model, [4, 5])
    loop = Loop(model, rows=2, columns=32)
    loop.admit(gone)
    loop.admit(stays)
    loop.step()
    loop.cancel(gone)
    last = loop.step()[0]
    assert (last.ticket.row, last.finished, last.positions, last.error) == (gone, True, (), None)
    while loop.step():
        pass
    finish(model, alone)
    assert gone.nfe == 1
    assert gone.canvas.count(MASK) == 9
    assert (stays.canvas, stays.nfe) == (alone.canvas, alone.nfe)
    assert loop.room == 2


def test_a_row_may_enter_while_others_are_under_way(model: LLaDAModel) -> None:
    early, late = sequence(model), sequence(model, [9, 8, 7, 6], policy=PrefixCache())
    alone = sequence(model, [9, 8, 7, 6], policy=PrefixCache())
    loop = Loop(model, rows=2, columns=32)
    loop.admit(early)
    loop.step()
    loop.admit(late)
    while loop.step():
        pass
    finish(model, alone)
    assert late.canvas == alone.canvas


def test_more_rows_than_fit_wait_for_room_and_reuse_it(model: LLaDAModel) -> None:
    rows = [sequence(model, [n + 1] * (n + 1)) for n in range(7)]
    most = 0
    for _ in drain(model, rows, rows=2):
        most = max(most, sum(row.nfe > 0 and not row.finished for row in rows))
    assert most == 2
    for n, row in enumerate(rows):
        alone = sequence(model, [n + 1] * (n + 1))
        finish(model, alone)
        assert row.canvas == alone.canvas


def test_closing_the_iterator_stops_the_work(model: LLaDAModel) -> None:
    row = sequence(model)
    steps = drain(model, [row], rows=1)
    next(steps)
    steps.close()
    assert row.nfe == 1


def test_nothing_to_do_yields_nothing(model: LLaDAModel) -> None:
    assert list(drain(model, [], rows=4)) == []


def test_a_row_waits_for_a_place_and_for_columns(model: LLaDAModel) -> None:
    first, second, third = (sequence(model) for _ in range(3))
    loop = Loop(model, rows=2, columns=13)
    assert loop.admit(first)
    assert not loop.admit(second)  # there is a place, and no column
    assert loop.admit(sequence(model, policy=NoCache()))
    assert loop.room == 0
    assert not loop.admit(third)
    while not first.finished:
        loop.step()
    assert loop.admit(second)


def test_a_row_that_can_never_fit_is_told_why(model: LLaDAModel, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(model, rows=1, columns=13)
    long = sequence(model, [1] * 6)
    assert loop.refusal(sequence(model)) is None
    assert "take 16 cached columns, and there is memory for 13" in (loop.refusal(long) or "")
    assert not loop.admit(long)
    assert loop.refusal(sequence(model, [1] * 6, policy=NoCache())) is None
    monkeypatch.setattr(type(model), "affordable_columns", lambda self: 13)
    with pytest.raises(PromptError, match="take 16 cached columns, and there is memory for 13"):
        list(drain(model, [sequence(model), long], rows=2))


def test_a_row_is_admitted_once(model: LLaDAModel) -> None:
    loop, row = Loop(model, rows=2), sequence(model)
    loop.admit(row)
    with pytest.raises(UsageError, match="give a Sequence that is in no loop yet"):
        loop.admit(row)
    with pytest.raises(UsageError, match="cannot be admitted"):
        loop.admit(object())  # type: ignore[arg-type]


def test_by_default_the_budget_is_what_memory_holds(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Loop(model, rows=3).columns == 3 * 64
    monkeypatch.setattr(type(model), "affordable_columns", lambda self: 50)
    assert Loop(model, rows=3).columns == 50


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([], {}, "the prompt is empty"),
        ([1, MASK, 2], {}, r"the mask token \(id 30\) at position 1"),
        ([1, 32], {}, "id 32 at position 1 .* give ids from 0 to 31"),
        ([-1], {}, "id -1 at position 0"),
        ([1] * 60, {}, "gen_length 10 after a prompt of 60 tokens exceeds the 64 tokens"),
    ],
)
def test_a_row_that_cannot_be_decoded_says_why(model: LLaDAModel, prompt, options, message) -> None:
    with pytest.raises(UsageError, match=message):
        sequence(model, prompt, **options)
