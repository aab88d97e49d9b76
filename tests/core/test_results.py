"""Requests, results and steps as facts."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from llada_core import Answer, GenerationRequest, GenerationResult, Step, Ticket, TokenizerMissing


def make_result(**changes: Any) -> GenerationResult:
    facts: dict[str, Any] = {
        "text": "Hi",
        "token_ids": (4, 5, 6),
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "nfe": 2,
        "arrived": 10.0,
        "admitted": 11.0,
        "finished": 11.5,
        "engine": "fake",
        "algorithm": "pairs",
        "parameters": {"gen_length": 8},
    }
    return GenerationResult(**{**facts, **changes})


class FakeRow:
    """A row of a prompt of two ids, and an answer that stands so far as given; 0 is the mask."""

    prompt_length, columns, nfe, cancelled, warnings, mask_id = 2, 0, 3, False, (), 0

    def __init__(self, answer: Sequence[int]) -> None:
        self.gen_length, self.canvas = len(answer), [8, 9, *answer, 0, 0]
        self.ticket = Ticket(self)


def make_step(**changes: Any) -> Step:
    facts: dict[str, Any] = {
        "ticket": FakeRow([1]).ticket,
        "block": 0,
        "positions": (0,),
        "tokens": (1,),
        "confidence": (0.5,),
        "nfe": 1,
        "settled": 1,
    }
    return Step(**{**facts, **changes})


def test_the_figures_follow_from_the_facts() -> None:
    result = make_result()
    assert (result.completion_tokens, result.tokens_per_forward, result.tokens_per_second) == (3, 1.5, 6.0)


def test_no_forward_and_no_time_make_no_rate() -> None:
    result = make_result(nfe=0, finished=11.0)
    assert (result.tokens_per_forward, result.tokens_per_second) == (0.0, 0.0)


def test_the_json_shape_is_the_documented_one() -> None:
    assert make_result().as_dict() == {
        "text": "Hi",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        "nfe": 2,
        "tokens_per_forward": 1.5,
        "seconds": 0.5,
        "queue_seconds": 1.0,
        "engine": "fake",
        "algorithm": "pairs",
        "parameters": {"gen_length": 8},
        "warnings": [],
    }


@pytest.mark.parametrize(
    "fact",
    [GenerationRequest(prompt="a"), Answer(token_ids=(4,), nfe=1), make_result(), make_step()],
)
def test_facts_are_frozen_and_slotted(fact: Any) -> None:
    assert not hasattr(fact, "__dict__")
    name = dataclasses.fields(fact)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(fact, name, None)


@pytest.mark.parametrize(
    ("answer", "canvas", "settled"),
    [
        ([1, 2, 0, 4], (1, 2, None, 4), (1, 2)),
        ([0, 2], (None, 2), ()),
        ([1, 2], (1, 2), (1, 2)),
    ],
)
def test_a_ticket_tells_what_stands(
    answer: list[int], canvas: tuple[Any, ...], settled: tuple[int, ...]
) -> None:
    ticket = FakeRow(answer).ticket
    assert (ticket.canvas, ticket.token_ids, ticket.nfe) == (canvas, settled, 3)


def test_a_ticket_without_a_tokenizer_says_what_to_do_instead() -> None:
    with pytest.raises(TokenizerMissing, match="decode its token_ids yourself"):
        FakeRow([1]).ticket.text  # noqa: B018


def test_a_ticket_says_where_its_row_is() -> None:
    ticket = FakeRow([1]).ticket
    assert (ticket.status, repr(ticket)) == ("waiting", "<Ticket 0, waiting>")
    ticket.admitted = 1.0
    assert ticket.status == "running"
    ticket.finished = 2.0
    assert ticket.status == "finished"


@pytest.mark.parametrize(
    ("name", "now"),
    [("index", "ticket.index"), ("canvas", "ticket.canvas"), ("text", "ticket.text")],
)
def test_former_names_of_a_step_answer_with_todays(name: str, now: str) -> None:
    with pytest.raises(AttributeError, match=f"Step.{name} is step.{now} now; write that"):
        getattr(make_step(), name)
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        make_step().other  # noqa: B018


def test_a_result_survives_a_process() -> None:
    result = make_result()
    assert pickle.loads(pickle.dumps(result)) == copy.copy(result) == result
