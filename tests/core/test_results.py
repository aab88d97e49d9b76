"""Requests, results and steps as facts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from llada_core import Answer, GenerationRequest, GenerationResult, Step


def make_result(**changes: Any) -> GenerationResult:
    facts: dict[str, Any] = {
        "text": "Hi",
        "token_ids": (4, 5, 6),
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "nfe": 2,
        "seconds": 0.5,
        "engine": "fake",
        "algorithm": "pairs",
        "parameters": {"gen_length": 8},
    }
    return GenerationResult(**{**facts, **changes})


def make_step(canvas: tuple[int | None, ...]) -> Step:
    return Step(
        index=0,
        block=0,
        positions=(),
        tokens=(),
        confidence=(),
        nfe=1,
        finished=False,
        canvas=canvas,
        decode=lambda ids: " ".join(map(str, ids)),
    )


def test_the_figures_follow_from_the_facts() -> None:
    result = make_result()
    assert (result.completion_tokens, result.tokens_per_forward, result.tokens_per_second) == (3, 1.5, 6.0)


def test_no_forward_and_no_time_make_no_rate() -> None:
    result = make_result(nfe=0, seconds=0.0)
    assert (result.tokens_per_forward, result.tokens_per_second) == (0.0, 0.0)


def test_the_json_shape_is_the_documented_one() -> None:
    assert make_result().as_dict() == {
        "text": "Hi",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        "nfe": 2,
        "tokens_per_forward": 1.5,
        "seconds": 0.5,
        "engine": "fake",
        "algorithm": "pairs",
        "parameters": {"gen_length": 8},
        "warnings": [],
    }


@pytest.mark.parametrize(
    "fact",
    [GenerationRequest(prompt="a"), Answer(token_ids=(4,), nfe=1), make_result(), make_step((1,))],
)
def test_facts_are_frozen_and_slotted(fact: Any) -> None:
    assert not hasattr(fact, "__dict__")
    name = dataclasses.fields(fact)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(fact, name, None)


def test_the_text_so_far_ends_before_the_first_mask() -> None:
    assert make_step((1, 2, None, 4)).text == "1 2"
    assert make_step((None, 2)).text == ""
    assert make_step((1, 2)).text == "1 2"
