"""Blanks, texts that end answers, and how sure the model was: on the small trained model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llada_core
from llada_core import (
    AlgorithmUnavailable,
    GenerationRequest,
    LoadedModel,
    ParameterError,
    PromptError,
    UsageError,
)

SUM, SORT = "What is 12 + 30?", "Sort the list 9, 4, 7, 1."


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with llada_core.load_model(engine="fast-dllm", device="cpu") as model:
        yield model


def result(lm: LoadedModel, **request: Any) -> llada_core.GenerationResult:
    return lm.generate_batch([GenerationRequest(**request)])[0]


@pytest.mark.parametrize("algorithm", ["basic", "prefix_cache", "dual_cache"])
def test_a_blank_is_filled_with_what_fits_on_both_sides(lm: LoadedModel, algorithm: str) -> None:
    filled = lm.infill("12 + {{2}} = 42.", prompt=SUM, algorithm=algorithm)
    assert (filled.text, filled.blanks) == ("12 + 30 = 42.", ("30",))


@pytest.mark.parametrize("block_length", [1, 4, 32])
def test_what_is_given_never_changes(lm: LoadedModel, block_length: int) -> None:
    filled = lm.infill("Sorted: {{3}}, 4, {{1}}, 9.", prompt=SORT, block_length=block_length)
    first, second = filled.blanks
    assert filled.text == f"Sorted: {first}, 4, {second}, 9."
    assert filled.completion_tokens == len(filled.token_ids) <= 4


def test_a_template_alone_is_a_text(lm: LoadedModel) -> None:
    filled = lm.infill("Tom has 3 apples and {{8}}. He has 7 apples.")
    assert filled.text == f"Tom has 3 apples and {filled.blanks[0]}. He has 7 apples."
    begun = lm.infill(["", {"max_tokens": 4}, " is the answer."])
    assert begun.text == begun.blanks[0] + " is the answer."


def test_what_follows_an_end_token_in_a_blank_is_cut(lm: LoadedModel) -> None:
    filled = lm.infill("{{24}}", prompt=SUM)
    assert (filled.text, filled.finish_reason, filled.completion_tokens) == ("12 + 30 = 42.", "stop", 11)


def test_a_blank_that_is_full_ends_by_its_length(lm: LoadedModel) -> None:
    assert lm.infill("12 + {{2}} = 42.", prompt=SUM).finish_reason == "length"


def test_the_text_of_a_ticket_grows_to_the_whole(lm: LoadedModel) -> None:
    request = GenerationRequest(
        prompt=SORT, template="Sorted: {{3}}, 4, {{1}}, 9.", algorithm="basic", parameters={"block_length": 2}
    )
    seen = []
    with lm.session(rows=1) as session:
        ticket = session.submit(request)
        for _ in session:
            seen.append(ticket.text)
    assert ticket.result is not None
    assert seen[-1] == ticket.result.text
    assert all(ticket.result.text.startswith(text) for text in seen)
    assert len(set(seen)) > 1


@settings(max_examples=3, deadline=None)
@given(
    st.lists(st.sampled_from(["{{2}}", "{{5}}", "4, ", "Sorted: ", "9."]), min_size=1, max_size=5),
    st.integers(0, 9),
)
def test_neighbours_change_nothing(lm: LoadedModel, pieces: list[str], seed: int) -> None:
    template = "".join([*pieces, "{{1}}"])
    mine = GenerationRequest(prompt=SORT, template=template, parameters={"temperature": 1.0, "seed": seed})
    others = [
        GenerationRequest(prompt=SUM, parameters={"max_tokens": 12}, algorithm="basic"),
        GenerationRequest(prompt=SUM, parameters={"max_tokens": 12}, stop=("= ",)),
    ]
    together = lm.generate_batch([others[0], mine, others[1]])[1]
    alone = lm.generate_batch([mine])[0]
    assert (together.text, together.nfe) == (alone.text, alone.nfe)


@pytest.mark.parametrize(
    ("request_", "kind", "told"),
    [
        ({"template": "no blank"}, PromptError, "no blank"),
        (
            {"template": "{{2}}", "parameters": {"max_tokens": 4}},
            ParameterError,
            "max_tokens=4 beside a template",
        ),
        ({"template": "{{2}}", "stop": (".",)}, UsageError, "leave one of them out"),
        ({"template": "{{100000}}"}, ParameterError, "100000"),
        ({"prompt": None}, PromptError, "the prompt is None"),
        ({"stop": "."}, UsageError, r"stop='\.' is no list"),
        ({"stop": ("",)}, UsageError, "is no list of texts"),
    ],
)
def test_what_cannot_be_is_refused(
    lm: LoadedModel, request_: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        result(lm, **{"prompt": SUM, **request_})


def test_an_algorithm_that_is_one_call_fills_no_blanks(lm: LoadedModel) -> None:
    from llada_fastdllm import FastDLLMGeneration

    class Whole(FastDLLMGeneration):
        name = "whole"

        def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
            return super().generate(model, prompt, **params)

    undo = llada_core.register_algorithm(Whole)
    try:
        with pytest.raises(AlgorithmUnavailable, match="whole cannot fill blanks: it answers in one call"):
            lm.infill("{{2}}", prompt=SUM, algorithm="whole")
    finally:
        undo()


@pytest.mark.parametrize("stop", ["= 42", "=", "4", "12 + 30 = 42.", "2.", "30"])
@pytest.mark.parametrize("algorithm", ["basic", "dual_cache"])
def test_an_answer_ends_before_the_first_stop(lm: LoadedModel, stop: str, algorithm: str) -> None:
    ended = result(lm, prompt=SUM, stop=("never", stop), algorithm=algorithm, parameters={"max_tokens": 16})
    whole = "12 + 30 = 42."
    assert (ended.text, ended.finish_reason) == (whole.partition(stop)[0], "stop")
    assert lm.model.decode(ended.token_ids).startswith(ended.text)


def test_a_stop_saves_the_forwards_behind_it(lm: LoadedModel) -> None:
    options = {"max_tokens": 32, "early_stop": False, "block_length": 8}
    ended = result(lm, prompt=SUM, stop=("=",), algorithm="basic", parameters=options)
    whole = result(lm, prompt=SUM, algorithm="basic", parameters=options)
    assert ended.nfe < whole.nfe / 2


def test_a_row_that_meets_no_stop_is_as_it_was(lm: LoadedModel) -> None:
    asked = {"prompt": SUM, "parameters": {"max_tokens": 32}}
    one, other = result(lm, **asked, stop=("xyz",)), result(lm, **asked)
    assert (one.text, one.token_ids, one.nfe, one.finish_reason) == (
        other.text,
        other.token_ids,
        other.nfe,
        other.finish_reason,
    )


def test_a_stop_of_one_row_is_none_of_another(lm: LoadedModel) -> None:
    asked = {"prompt": SUM, "parameters": {"max_tokens": 32}}
    ended, whole = lm.generate_batch([GenerationRequest(**asked, stop=("=",)), GenerationRequest(**asked)])
    assert (ended.text, whole.text) == ("12 + 30 ", "12 + 30 = 42.")


def test_confidence_is_told_of_each_token_where_it_is_asked_for(lm: LoadedModel) -> None:
    asked = {"prompt": SUM, "parameters": {"max_tokens": 32}}
    sure = result(lm, **asked, logprobs=0).confidence
    assert sure is not None
    assert len(sure) == 11
    assert all(value is not None and 0.3 < value <= 1 for value in sure)
    assert result(lm, **asked).confidence is None
    filled = result(lm, prompt=SUM, template="12 + {{2}} = 42.", logprobs=0)
    assert filled.confidence is not None
    assert len(filled.confidence) == len(filled.token_ids) == 2


@pytest.mark.parametrize("algorithm", ["basic", "prefix_cache", "dual_cache"])
def test_the_likeliest_tokens_are_told_of_each_position(lm: LoadedModel, algorithm: str) -> None:
    asked = {"prompt": SUM, "algorithm": algorithm, "parameters": {"max_tokens": 16}}
    told, plain = result(lm, **asked, logprobs=3), result(lm, **asked)
    assert (told.token_ids, told.nfe, plain.alternatives) == (plain.token_ids, plain.nfe, None)
    assert told.confidence is not None
    assert told.alternatives is not None
    for token, sure, likeliest in zip(told.token_ids, told.confidence, told.alternatives, strict=True):
        assert likeliest is not None
        ids, chances = zip(*likeliest, strict=True)
        assert (ids[0], chances[0]) == (token, sure)  # temperature is 0
        assert len(set(ids)) == 3
        assert lm.model.limits.mask_id not in ids
        assert list(chances) == sorted(chances, reverse=True)
        assert sum(chances) <= 1.0001


def test_a_drawn_token_is_told_beside_the_likeliest(lm: LoadedModel) -> None:
    parameters = {"max_tokens": 16, "temperature": 30.0, "seed": 5, "early_stop": False}
    told = result(lm, prompt=SUM, parameters=parameters, logprobs=1)
    assert told.alternatives is not None
    assert told.confidence is not None
    pairs = zip(told.token_ids, told.confidence, told.alternatives, strict=True)
    others = [(sure, best) for token, sure, best in pairs if best is not None and best[0][0] != token]
    assert others
    assert all(sure is not None and sure <= best[0][1] for sure, best in others)


def test_alternatives_of_one_row_are_none_of_another(lm: LoadedModel) -> None:
    asked = {"prompt": SUM, "parameters": {"max_tokens": 16}}
    one, other, third = lm.generate_batch(
        [GenerationRequest(**asked, logprobs=count) for count in (2, None, 5)]
    )
    assert (one.text, third.text) == (other.text, other.text)
    assert other.alternatives is None
    assert {len(each or ()) for each in one.alternatives or ()} == {2}
    assert {len(each or ()) for each in third.alternatives or ()} == {5}


def test_a_number_of_logprobs_is_checked(lm: LoadedModel) -> None:
    for wrong in (-1, 21, True, "3", 1.0):
        with pytest.raises(UsageError, match=r"is no number of tokens; give 0 .* up to 20"):
            result(lm, prompt=SUM, logprobs=wrong)


def test_candidates_are_scored_in_their_place(lm: LoadedModel) -> None:
    right, wrong, longer = lm.score("12 + 30 = {{1}}.", ["42", "41", "142"], prompt=SUM)
    assert right.probability > 0.9
    assert right.log_probability > wrong.log_probability
    assert (right.text, longer.text) == ("42", "142")
    assert longer.log_probability / len(longer.token_ids) == longer.per_token
    assert right.probability == math.exp(right.log_probability)


def test_all_continuations_of_one_token_are_one(lm: LoadedModel) -> None:
    """The probabilities of all single tokens in a place add up to 1, the mask's left out."""
    tokenizer = lm.model.tokenizer
    texts = {tokenizer.decode([token]) for token in range(len(tokenizer)) if token != lm.model.limits.mask_id}
    single = [
        text for text in texts if text and len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1
    ]
    total = sum(score.probability for score in lm.score("12 + 30 = {{1}}2.", single, prompt=SUM))
    assert 0.99 < total <= 1.0001


@pytest.mark.parametrize(
    ("template", "candidates", "told"),
    [
        ("{{1}} {{1}}", ["a"], "several blanks"),
        ("none", ["a"], "no blank"),
        ("{{1}}", "abc", "is one text"),
        ("{{1}}", [""], "no tokens"),
        ("{{1}}", [3], "is no text"),
    ],
)
def test_what_cannot_be_scored_is_told(lm: LoadedModel, template: str, candidates: Any, told: str) -> None:
    with pytest.raises(PromptError, match=told):
        lm.score(template, candidates, prompt=SUM)


def test_no_candidates_have_no_scores(lm: LoadedModel) -> None:
    assert lm.score("{{1}}", [], prompt=SUM) == []
