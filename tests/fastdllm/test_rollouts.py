"""Rollouts: many answers to each prompt, as they end, each of a seed of its own, and few rows at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from llada_core import (
    Answer,
    GenerationError,
    LoadedModel,
    PromptError,
    Rollout,
    UsageError,
    register_algorithm,
)
from llada_core.generation.execution import Execution
from llada_runtime import LLaDAModel, NoCache, Quota, Sequence, StepAlgorithm

PROMPTS = ["What is 12 + 30?", "What is 2 + 3?", "Sort the list 9, 4, 7, 1."]
DRAWN: dict[str, Any] = {"max_tokens": 24, "temperature": 4.0, "steps": 6, "threshold": None}


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with llada_core.load_model(engine="fast-dllm", device="cpu") as model:
        yield model


def in_order(found: Iterator[Rollout]) -> list[Rollout]:
    return sorted(found, key=lambda each: (each.prompt, each.sample))


def test_they_are_the_answers_of_generate_to_each_prompt_so_many_times(lm: LoadedModel) -> None:
    found = in_order(lm.rollouts(PROMPTS, n=3, rows=4, seed=70, **DRAWN))
    assert [(each.prompt, each.sample) for each in found] == [(p, i) for p in range(3) for i in range(3)]
    wanted = lm.generate([prompt for prompt in PROMPTS for _ in range(3)], seed=70, **DRAWN)
    results = [each.result for each in found]
    assert [each and (each.token_ids, each.nfe) for each in results] == [
        (each.token_ids, each.nfe) for each in wanted
    ]
    assert [each and each.parameters["seed"] for each in results] == list(range(70, 79))
    assert all(each and each.trajectory for each in results)
    assert len({each.token_ids for each in wanted[:3]}) > 1


def test_one_answer_a_prompt_without_a_trajectory(lm: LoadedModel) -> None:
    found = in_order(lm.rollouts(PROMPTS, trajectory=False, max_tokens=16))
    assert [each.result and each.result.text for each in found] == [
        each.text for each in lm.generate(PROMPTS, max_tokens=16)
    ]
    assert all(each.result and each.result.trajectory is None for each in found)


def test_no_more_rows_are_made_than_are_in_flight(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Sequence]] = []
    begin = Sequence.__init__

    def noted(self: Sequence, *args: Any, **given: Any) -> None:
        begin(self, *args, **given)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Sequence, "__init__", noted)
    most = 0
    for _ in lm.rollouts(PROMPTS, n=6, rows=3, max_tokens=4):
        gc.collect()
        most = max(most, sum(each() is not None for each in made))
    assert len(made) == 18
    assert most <= 2 * 3  # those in flight, and those whose ends are being told


def test_a_prompt_is_encoded_once(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    encode = type(lm.model).encode

    def noted(self: Any, prompt: Any, **given: Any) -> list[int]:
        asked.append(prompt)
        return encode(self, prompt, **given)

    monkeypatch.setattr(type(lm.model), "encode", noted)
    assert len([*lm.rollouts(PROMPTS, n=5, max_tokens=4)]) == 15
    assert asked == PROMPTS


class _Failing(Quota):
    def keeps(self, sequence: Sequence) -> int:
        return 1

    def score(self, sequence: Sequence, logits: Any, tokens: Any) -> Any:
        if sequence.seed == 3:
            raise RuntimeError("unlucky")
        return None


class Unlucky(StepAlgorithm):
    name, engine = "unlucky", "fast-dllm"
    parameters = tuple(map(llada_core.standard, ("gen_length", "block_length", "seed", "temperature")))

    def policy(self, params: Any) -> NoCache:
        return NoCache()

    def rule(self, params: Any) -> Quota:
        return _Failing(4)


class OneCall(llada_core.GenerationAlgorithm):
    name, engine, parameters = "one_call", "fast-dllm", (llada_core.standard("gen_length"),)

    def load_model_class(self) -> Any:
        return LLaDAModel

    def answers(self, model: Any, prompts: Any, params: Any) -> list[Answer]:
        return [Answer(token_ids=(22, 23), nfe=1) for _ in prompts]

    def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
        raise AssertionError("answers are asked for")


def test_a_row_that_fails_is_told_and_ends_nothing_else(lm: LoadedModel) -> None:
    undo = register_algorithm(Unlucky)
    try:
        found = in_order(lm.rollouts(PROMPTS[:2], n=2, algorithm="unlucky", seed=1, max_tokens=8))
    finally:
        undo()
    assert [each.result is None for each in found] == [False, False, True, False]
    assert isinstance(found[2].error, GenerationError)
    assert "unlucky failed in row 2" in str(found[2].error)
    assert all(each.error is None for each in found if each.result)


def test_one_that_has_no_room_is_told_too(lm: LoadedModel) -> None:
    prompts = [PROMPTS[0], PROMPTS[0] * 12, PROMPTS[1]]
    found = in_order(lm.rollouts(prompts, columns=100, algorithm="prefix_cache", max_tokens=8))
    assert [each.result is None for each in found] == [False, True, False]
    assert isinstance(found[1].error, GenerationError)
    assert isinstance(found[1].error.__cause__, PromptError)
    assert "failed in row 1" in str(found[1].error)


def test_those_that_fail_when_they_are_made_do_not_pile_up(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no rule")

    monkeypatch.setattr(Unlucky, "rule", broken)
    undo, taken = register_algorithm(Unlucky), 0
    submit = Execution.submit

    def noted(self: Execution, job: Any) -> Any:
        nonlocal taken
        taken += 1
        return submit(self, job)

    monkeypatch.setattr(Execution, "submit", noted)
    try:
        running = lm.rollouts(PROMPTS, n=9, rows=2, algorithm="unlucky", seed=1, max_tokens=8)
        assert next(running).error is not None
        assert taken == 2
        assert len([*running]) == 26
    finally:
        undo()


def test_an_algorithm_that_is_one_call_has_no_trajectory(lm: LoadedModel) -> None:
    undo = register_algorithm(OneCall)
    try:
        found = [*lm.rollouts(PROMPTS, algorithm="one_call")]
    finally:
        undo()
    assert [each.result and (each.result.token_ids, each.result.trajectory) for each in found] == [
        ((22, 23), None)
    ] * 3


def test_closing_it_ends_what_is_in_flight(lm: LoadedModel) -> None:
    running = lm.rollouts(PROMPTS, n=2, rows=5, max_tokens=48, block_length=4, threshold=1.0)
    next(running)
    (execution,) = [each for each in lm.model.executions if each.in_work]
    assert isinstance(execution, Execution)
    running.close()
    assert execution.in_work == 0


def test_what_cannot_be_is_refused_at_the_call(lm: LoadedModel) -> None:
    for n in (0, 1.5, True, None):
        with pytest.raises(UsageError, match=r"is no number of answers to a prompt; give an integer from 1"):
            lm.rollouts(PROMPTS, n=n)  # type: ignore[arg-type]
    for rows in (0, None):
        with pytest.raises(UsageError, match=f"rows={rows} is no count of rows"):
            lm.rollouts(PROMPTS, rows=rows)  # type: ignore[arg-type]
    with pytest.raises(PromptError):
        lm.rollouts([*PROMPTS, ""], n=2)
    with pytest.raises(UsageError, match="no_such"):
        lm.rollouts(PROMPTS, no_such=1)
