"""Room for prompt and answer: answers that are shortened to it, and what exceeds it, on the small model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

import llada_core
from llada_core import GenerationRequest, LoadedModel, NumericalError, ParameterError, PromptError, UsageError

SUM = "What is 12 + 30?"


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with llada_core.load_model(engine="fast-dllm", device="cpu") as model:
        yield model


def submitted(lm: LoadedModel, **request: Any) -> Any:
    """The row of a request, of which nothing is run."""
    with lm.session() as session:
        return session.submit(GenerationRequest(**request)).row


def test_an_answer_is_shortened_to_what_fits_where_that_is_asked_for(lm: LoadedModel) -> None:
    whole = submitted(lm, prompt=SUM)
    assert whole.gen_length == 128
    room = whole.prompt_length + 20
    assert submitted(lm, prompt=SUM, max_length=room, shorten=True).gen_length == 20
    named = submitted(lm, prompt=SUM, max_length=room, shorten=True, parameters={"max_tokens": 64})
    assert named.gen_length == 20
    assert submitted(lm, prompt=SUM, max_length=1000, shorten=True).gen_length == 128
    with pytest.raises(ParameterError, match="of at most 20, or shorten the prompt"):
        submitted(lm, prompt=SUM, max_length=room)


def test_a_prompt_that_leaves_no_room_is_refused_though_the_answer_may_be_short(lm: LoadedModel) -> None:
    length = submitted(lm, prompt=SUM).prompt_length
    for room in (1, length):
        with pytest.raises(PromptError, match="shorten the prompt"):
            submitted(lm, prompt=SUM, max_length=room, shorten=True)


def test_a_bound_is_a_number(lm: LoadedModel) -> None:
    for wrong in ({"max_length": 0}, {"max_length": True}, {"max_length": "9"}, {"shorten": 1}):
        with pytest.raises(UsageError, match="; give "):
            submitted(lm, prompt=SUM, **wrong)


def test_blanks_that_do_not_fit_are_told_with_those_that_do(lm: LoadedModel) -> None:
    with pytest.raises(ParameterError, match=r"blanks \(max_tokens\) of at most (\d+) in all") as caught:
        submitted(lm, prompt=SUM, template="12 + {{30}} = {{30}}.", max_length=64)
    most = int(str(caught.value).partition("at most ")[2].split()[0])
    row = submitted(lm, prompt=SUM, template=f"12 + {{{{{most - 1}}}}} = {{{{1}}}}.", max_length=64)
    assert row.prompt_length + row.gen_length == 64
    with pytest.raises(PromptError, match="shorten the text"):
        submitted(lm, prompt=SUM * 10, template="12 + {{1}}.", max_length=64)


@pytest.mark.parametrize("length", [10**6, 10**9, 10**15])
def test_huge_blanks_are_refused_before_there_is_a_cell_of_them(lm: LoadedModel, length: int) -> None:
    with pytest.raises(ParameterError, match=f"blanks of {length} tokens exceed the 1024"):
        lm.infill(["a", {"max_tokens": length}])


def test_candidates_are_refused_before_a_forward_and_the_prompt_is_encoded_once(lm: LoadedModel) -> None:
    algorithm = type(lm.algorithm())
    with (
        mock.patch.object(algorithm, "log_probabilities") as forward,
        pytest.raises(ParameterError, match=r"the candidate .* has 2000 tokens"),
    ):
        lm.score("{{1}}.", ["1", "2" * 10, "3" * 2000], prompt=SUM)
    assert not forward.called
    with mock.patch.object(algorithm, "encode", autospec=True, side_effect=algorithm.encode) as encoded:
        lm.score("{{1}}.", ["1", "11", "111"], prompt=SUM)
    assert encoded.call_count == 1


def test_a_score_that_is_no_number_is_refused(lm: LoadedModel) -> None:
    with (
        mock.patch.object(type(lm.algorithm()), "log_probabilities", return_value=[[-1.0], [math.nan]]),
        pytest.raises(NumericalError, match="load the model in float32"),
    ):
        lm.score("{{1}}.", ["1", "2"], prompt=SUM)


def test_text_far_beyond_the_room_is_refused_without_being_encoded(lm: LoadedModel) -> None:
    tokenizer = type(lm.model.tokenizer)
    called = tokenizer.__call__
    with mock.patch.object(tokenizer, "__call__", autospec=True, side_effect=called) as encoded:
        for ask in (lambda: lm.generate("a " * 10**6), lambda: lm.infill("b " * 10**6 + "{{2}}", prompt=SUM)):
            with pytest.raises(PromptError, match="has more than 1024 tokens and the model takes 1024"):
                ask()
    assert max(len(call.args[1]) for call in encoded.call_args_list) < 10**5


def test_text_of_many_characters_that_fits_is_taken(lm: LoadedModel) -> None:
    # The chat template may strip a text: its characters say nothing of its tokens.
    assert submitted(lm, prompt=[{"role": "user", "content": SUM}], max_length=256).prompt_length < 256
    most = 1024 - submitted(lm, prompt="a", raw=True).prompt_length - 1
    row = submitted(lm, prompt="a" * most, raw=True, parameters={"max_tokens": 1})
    assert row.prompt_length > 900
