"""Edited answers are streamed: what has settled never changes, and whoever watches is told of every edit."""

from __future__ import annotations

import random
from typing import Any

import pytest

import llada_core
from llada_core import GenerationRequest, Step
from tests.llada2.random_rows import prompt
from tests.support.replaying import replayed

EDITS: dict[str, dict[str, Any]] = {
    "llada2_edit": {"editing_threshold": 0.2, "max_post_steps": 4},
    "llada2_joint_threshold": {"edit_threshold": 0.2, "max_post_edit_steps": 4},
}
LENGTHS = {"gen_length": 20, "block_length": 8, "threshold": 0.6, "early_stop": False}
MASK = None


def requests(count: int = 6) -> list[GenerationRequest]:
    source, names = random.Random("edits"), list(EDITS)
    return [
        GenerationRequest(prompt=prompt(source), algorithm=name, parameters={**LENGTHS, **EDITS[name]})
        for name in (names[index % 2] for index in range(count))
    ]


def test_the_steps_of_a_session_tell_each_edit(lm: llada_core.LoadedModel) -> None:
    asked, steps = requests(), list[Step]()
    with lm.session(rows=3) as session:  # rows come while others are at work
        tickets = [session.submit(request) for request in asked]
        steps = list(session)
    edits = 0
    for ticket in tickets:
        own = [step for step in steps if step.ticket is ticket]
        assert replayed(own, [MASK] * LENGTHS["gen_length"], empty=MASK) == list(ticket.canvas)
        assert all({*step.revoked} <= {*step.positions} for step in own)  # overwritten, never a mask again
        edits += sum(len(step.revoked) for step in own)
        assert [step.nfe for step in own] == list(range(1, ticket.nfe + 1))
    assert edits >= 20


def test_an_edit_says_what_stood_and_what_stands(lm: llada_core.LoadedModel) -> None:
    """Its position is among those that receive a token, with the confidence in it."""
    steps = list(lm.stream(requests(1)[0].prompt, algorithm="llada2_edit", **LENGTHS, **EDITS["llada2_edit"]))
    edited = [step for step in steps if step.revoked]
    assert edited
    for step in edited:
        sure = dict(zip(step.positions, step.confidence, strict=True))
        assert all(sure[position] > 0.2 for position in step.revoked)
        assert list(step.positions) == sorted(set(step.positions))


@pytest.mark.parametrize("name", EDITS)
def test_streamed_text_grows_block_by_block_and_is_never_taken_back(
    lm: llada_core.LoadedModel, name: str
) -> None:
    source, grown = random.Random(name), 0
    for _ in range(4):
        written = ""
        for step in lm.stream(prompt(source), algorithm=name, **LENGTHS, **EDITS[name]):
            text = step.ticket.text_before(step.settled)
            assert text.startswith(written)
            grown += 0 < len(written) < len(text)
            written = text
        assert step.result is not None
        assert step.result.text == written
    assert grown >= 4  # it did not come all at once


def test_text_waits_for_the_end_of_its_block(lm: llada_core.LoadedModel) -> None:
    ids = list(range(20, 28))  # one block
    for step in lm.stream(ids, algorithm="llada2_edit", **LENGTHS, **EDITS["llada2_edit"]):
        assert step.settled in (0, 8, 16, 20)
        assert step.finished or step.settled <= 8 * step.block + 8


@pytest.mark.parametrize("name", EDITS)
def test_a_cancelled_row_keeps_what_settled_and_leaves_the_others(
    lm: llada_core.LoadedModel, name: str
) -> None:
    asked = GenerationRequest(
        prompt=list(range(20, 25)), algorithm=name, parameters={**LENGTHS, **EDITS[name]}
    )
    (alone,) = lm.generate_batch([asked])
    with lm.session(rows=2) as session:
        first, second = session.submit(asked), session.submit(asked)
        for _ in range(5):
            session.step()
        session.cancel(first)
        for _ in session:
            pass
        assert session.submit(asked).status == "waiting"  # there is room for more
    assert first.result is not None
    assert second.result is not None
    assert first.result.finish_reason == "cancelled"
    assert first.nfe == 5
    assert second.result.token_ids == alone.token_ids
    assert second.nfe == alone.nfe


def test_of_a_token_that_was_edited_the_last_forward_counts(lm: llada_core.LoadedModel) -> None:
    source = random.Random("trajectories")
    edited = 0
    for temperature in (0.0, 0.8):
        asked = {**LENGTHS, **EDITS["llada2_edit"], "temperature": temperature, "seed": 3}
        request = GenerationRequest(
            prompt=prompt(source), algorithm="llada2_edit", parameters=asked, trajectory=True
        )
        with lm.session() as session:
            ticket = session.submit(request)
            steps = [*session]
        last = {position: step.nfe for step in steps for position in step.positions}
        edits = {(step.nfe, position) for step in steps for position in step.revoked}
        assert ticket.result is not None
        found = ticket.result.trajectory
        assert found is not None
        assert dict(zip(found.positions, found.committed_at, strict=True)) == last
        assert found.token_ids == ticket.token_ids
        assert found.replaced == len(edits)
        assert found.drawn_log_probabilities is not None
        for position, at, drawn in zip(
            found.positions, found.committed_at, found.drawn_log_probabilities, strict=True
        ):
            assert drawn == 0.0 or (temperature and (at, position) not in edits)
        edited += len(edits)
    assert edited
