"""Tokens and forwards are those of one call of the class's own ``generate`` with the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest
import torch

from llada_core import GenerationRequest
from tests.diffusiongemma.published import Published, cut
from tests.diffusiongemma.tiny_tokenizer import EOS, TURN_END
from tests.support.cases import cases

pytestmark = pytest.mark.alone


def case(number: int) -> tuple[list[int], dict[str, Any]]:
    """A prompt and parameters, drawn from the number of the case."""
    draw = random.Random(number)
    ids = [draw.randrange(3, 105) for _ in range(draw.choice((1, 2, 5, 9, 17, 30)))]
    params: dict[str, Any] = {"gen_length": draw.choice((1, 7, 8, 9, 16, 21)), "seed": draw.randrange(2**40)}
    drawn = {
        "canvas_length": draw.choice((3, 5, 8)),
        "max_denoising_steps": draw.choice((1, 2, 5)),
        "entropy_bound": draw.choice((0.01, 0.3, 5.0)),
        "t_min": draw.choice((0.0, 0.1, 0.5)),
        "t_max": draw.choice((0.6, 2.0)),
        "stability_threshold": draw.choice((0, 1, 2)),
        "confidence_threshold": draw.choice((0.001, 0.4, 3.0)),
        "early_stop": draw.random() < 0.5,
    }
    return ids, {**params, **{name: value for name, value in drawn.items() if draw.random() < 0.4}}


def check(lm: Any, published: Published, ids: list[int], params: Mapping[str, Any]) -> None:
    wanted = published.says(ids, **params)
    found = lm.generate(ids, **params)
    assert found.token_ids == cut(wanted.written, params["gen_length"])
    assert found.nfe == wanted.nfe


@pytest.mark.parametrize("number", range(14))
def test_an_answer_is_that_of_the_class(number: int, lm: Any, published: Published) -> None:
    check(lm, published, *case(number))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_answers_are_those_of_the_class(lm: Any, published: Published) -> None:
    for number in range(14, 14 + cases(200)):
        check(lm, published, *case(number))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_in_company_are_the_rows_alone(lm: Any, published: Published) -> None:
    """Ragged rows with parameters of their own, some cancelled on the way, in sessions of twenty."""
    for first in range(1000, 1000 + cases(200), 20):
        some = [case(number) for number in range(first, first + 20)]
        with lm.session(rows=8) as session:
            tickets = [
                session.submit(GenerationRequest(prompt=ids, parameters=params)) for ids, params in some
            ]
            session.step()
            for ticket in tickets[::7]:
                session.cancel(ticket)
            for _ in session:
                pass
        for at, ((ids, params), ticket) in enumerate(zip(some, tickets, strict=True)):
            wanted = published.says(ids, **params)
            whole, reached = cut(wanted.written, params["gen_length"]), tuple(ticket.result.token_ids)
            if at % 7 and ticket.result.finish_reason != "cancelled":
                assert (reached, ticket.nfe) == (whole, wanted.nfe)
            assert reached == whole[: len(reached)]


def test_rows_of_a_batch_are_the_rows_alone(lm: Any, published: Published) -> None:
    prompts = [[5, 6, 7], [9], list(range(10, 31))]
    results = lm.generate(prompts, gen_length=20, seed=4)
    for row, (ids, found) in enumerate(zip(prompts, results, strict=True)):
        wanted = published.says(ids, seed=4 + row, gen_length=20)
        assert (found.token_ids, found.nfe) == (cut(wanted.written, 20), wanted.nfe)


def test_a_seed_is_heeded_and_none_draws_anew(lm: Any) -> None:
    answers = [lm.generate([5, 6], gen_length=8, seed=seed).token_ids for seed in (1, 1, 2, -1, 2**64 - 2)]
    assert answers[0] == answers[1]
    assert len(set(answers)) == 4
    drawn = {lm.generate([5, 6], gen_length=8).token_ids for _ in range(3)}
    assert len(drawn) == 3


def test_torchs_own_generators_are_left_as_they_were(lm: Any) -> None:
    before = torch.get_rng_state()
    lm.generate([5, 6], gen_length=16, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    first = lm.generate([5, 6], gen_length=8).token_ids
    torch.manual_seed(7)
    assert lm.generate([5, 6], gen_length=8).token_ids == first


@pytest.mark.parametrize("early", [True, False])
def test_an_answer_ends_before_any_end_token_of_the_checkpoint(
    early: bool, lm: Any, published: Published
) -> None:
    """Either of the two; behind it nothing is written, unless that is asked for."""
    seen = set()
    for seed in range(60):
        wanted = published.says([5, 6, 7], seed=seed, gen_length=24, early_stop=early, max_denoising_steps=1)
        answer = cut(wanted.written, 24)
        if len(answer) == 24:
            continue
        seen.add(wanted.written[len(answer)])
        found = lm.generate([5, 6, 7], gen_length=24, seed=seed, early_stop=early, max_denoising_steps=1)
        assert (found.token_ids, found.finish_reason, found.nfe) == (answer, "stop", wanted.nfe)
        assert early is (wanted.encoded == len(answer) // 8 + 1) or wanted.encoded == 3
        if seen == {EOS, TURN_END}:
            break
    assert seen == {EOS, TURN_END}


def test_generate_returns_the_prompts_with_answers_that_go_on_as_their_end(lm: Any) -> None:
    algorithm = lm.algorithm("diffusion_gemma")
    prompt = torch.tensor([[0, 0, 5], [5, 6, 7]])
    mask = torch.tensor([[0, 0, 1], [1, 1, 1]])
    ids, nfe = algorithm.generate(
        lm.model.network, prompt, attention_mask=mask, gen_length=20, seed=3, max_denoising_steps=1
    )
    assert (ids.shape, ids.dtype) == ((2, 23), torch.int64)
    assert torch.equal(ids[:, :3], prompt)
    alone = [
        lm.generate(row, gen_length=20, seed=3 + at, max_denoising_steps=1)
        for at, row in enumerate(([5], [5, 6, 7]))
    ]
    assert nfe == max(each.nfe for each in alone)
    for answer, result in zip(ids[:, 3:].tolist(), alone, strict=True):
        kept = len(result.token_ids)
        assert tuple(answer[:kept]) == result.token_ids
        assert len(set(answer[kept:])) <= 1


def test_the_reference_of_verify_is_one_call_of_the_class(lm: Any) -> None:
    algorithm = lm.algorithm("diffusion_gemma")
    for number in range(4):
        ids, params = case(number)
        values = algorithm.validate_args(**params)
        with lm.session() as session:
            ticket = session.submit(GenerationRequest(prompt=ids, parameters=params))
            for _ in session:
                pass
        answer = algorithm.reference_answer(lm.model.network, ids, values)
        assert (answer.token_ids, answer.nfe) == (ticket.canvas, ticket.nfe)


def test_a_network_that_transformers_loaded_will_do(published: Published, lm: Any) -> None:
    algorithm = type(lm.algorithm("diffusion_gemma"))()
    params = {"gen_length": 12, "seed": 5}
    ids, nfe = algorithm.generate(published.network, torch.tensor([[5, 6]]), **params)
    wanted = published.says([5, 6], **params)
    assert (cut(ids[0, 2:].tolist(), 12), nfe) == (cut(wanted.written, 12), wanted.nfe)


def test_what_a_call_does_not_say_is_what_its_network_says(published: Published, lm: Any) -> None:
    """Also the length; and not what the object has loaded, where that is another one."""
    network = published.network
    said = {"max_new_tokens": 13, "max_denoising_steps": 2, "t_max": 2.0}
    for algorithm in (type(lm.algorithm("diffusion_gemma"))(), lm.algorithm("diffusion_gemma")):
        with mock.patch.multiple(network.generation_config, **said):
            ids, nfe = algorithm.generate(network, torch.tensor([[5, 6]]), seed=5, early_stop=False)
            wanted = published.says([5, 6], seed=5, gen_length=13, early_stop=False)
            assert (tuple(ids[0, 2:].tolist()), nfe) == (wanted.written[:13], wanted.nfe)
            shorter, _ = algorithm.generate(network, torch.tensor([[5, 6]]), seed=5, max_tokens=4)
            assert shorter.shape == (1, 6)
        assert algorithm.model is not network
