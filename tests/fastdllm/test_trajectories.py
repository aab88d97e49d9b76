"""The trajectory of an answer: which forward wrote each token, and how probable the token was then."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import llada_core
from llada_core import GenerationRequest, GenerationResult, LoadedModel, Trajectory, UsageError

SUM = "What is 12 + 30?"
DRAWN = {"max_tokens": 24, "temperature": 0.8, "seed": 5, "threshold": 0.7}
ALGORITHMS = ["basic", "prefix_cache", "dual_cache"]


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with llada_core.load_model(engine="fast-dllm", device="cpu") as model:
        yield model


def result(lm: LoadedModel, **request: Any) -> GenerationResult:
    return lm.generate_batch([GenerationRequest(trajectory=True, **request)])[0]


def trajectory(lm: LoadedModel, **request: Any) -> Trajectory:
    found = result(lm, **request).trajectory
    assert found is not None
    return found


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_what_the_network_was_asked_can_be_put_together_again(lm: LoadedModel, temperature: float) -> None:
    """As a trainer does it: each token's log-probability on the canvas of its forward is the one told."""
    asked = {**DRAWN, "temperature": temperature}
    agree(trajectory(lm, prompt=SUM, parameters=asked, algorithm="basic"), lm.model.network, within=1e-4)


def agree(found: Trajectory, network: Any, *, within: float) -> None:
    """Hold what is told to a whole forward of each canvas, put together again."""
    assert found.log_probabilities is not None
    assert found.replaced == 0
    mask, begin = network.config.mask_token_id, len(found.prompt_ids)
    entries = list(zip(found.positions, found.token_ids, found.committed_at, strict=True))
    for forward in sorted(set(found.committed_at)):
        canvas = [*found.prompt_ids, *[mask] * found.length]
        for position, token, at in entries:
            if at < forward:
                canvas[begin + position] = token
        logits = network(torch.tensor([canvas], device=network.device))[0].double().cpu()
        logits[:, mask] = -torch.inf
        sure = logits.log_softmax(-1)
        for (position, token, at), told in zip(entries, found.log_probabilities, strict=True):
            if at == forward:
                assert told == pytest.approx(float(sure[begin + position, token]), abs=within)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_is_what_the_steps_told(lm: LoadedModel, algorithm: str) -> None:
    asked = GenerationRequest(prompt=SUM, parameters=DRAWN, algorithm=algorithm, trajectory=True)
    with lm.session() as session:
        ticket = session.submit(asked)
        told = {
            position: (token, step.nfe, log, drawn)
            for step in session
            for position, token, log, drawn in zip(
                step.positions,
                step.tokens,
                step.log_probabilities,
                step.drawn_log_probabilities,
                strict=True,
            )
        }
    assert ticket.result is not None
    found = ticket.result.trajectory
    assert found is not None
    assert found.log_probabilities is not None
    assert found.drawn_log_probabilities is not None
    entries = zip(
        found.token_ids,
        found.committed_at,
        found.log_probabilities,
        found.drawn_log_probabilities,
        strict=True,
    )
    assert dict(zip(found.positions, entries, strict=True)) == told
    assert max(found.committed_at) <= ticket.result.nfe
    assert all(log <= 0 for log in (*found.log_probabilities, *found.drawn_log_probabilities))


def test_what_counts_is_the_answer_and_its_end_token(lm: LoadedModel) -> None:
    answer = result(lm, prompt=SUM, parameters={"max_tokens": 32})
    found = answer.trajectory
    assert found is not None
    counted = [token for token, counts in zip(found.token_ids, found.in_answer, strict=True) if counts]
    assert answer.finish_reason == "stop"
    assert tuple(counted[:-1]) == answer.token_ids
    assert counted[-1] in lm.model.end_ids
    cut = trajectory(lm, prompt=SUM, parameters={"max_tokens": 4})
    assert cut.in_answer == (True,) * 4
    ended = trajectory(lm, prompt=SUM, parameters={"max_tokens": 32}, stop=("=",))
    assert sum(ended.in_answer) < len(counted) - 1


def test_the_likeliest_tokens_have_the_logarithm_of_their_confidence(lm: LoadedModel) -> None:
    answer = result(lm, prompt=SUM, parameters={"max_tokens": 32}, logprobs=0)
    found = answer.trajectory
    assert found is not None
    assert answer.confidence is not None
    logs = torch.tensor(answer.confidence, dtype=torch.float64).log().tolist()
    assert found.log_probabilities is not None
    assert list(found.log_probabilities[: len(logs)]) == pytest.approx(logs)
    assert found.drawn_log_probabilities == (0.0,) * len(found.token_ids)


def test_of_a_template_the_blanks_have_one(lm: LoadedModel) -> None:
    filled = result(lm, prompt=SUM, template="12 + {{2}} = 42.")
    found = filled.trajectory
    assert found is not None
    assert (
        tuple(t for t, counts in zip(found.token_ids, found.in_answer, strict=True) if counts)
        == filled.token_ids
    )
    assert len(found.positions) < found.length


def test_of_a_row_that_leaves_early_there_is_what_it_had(lm: LoadedModel) -> None:
    asked = {"max_tokens": 24, "steps": 24, "remasking": "random", "seed": 1}
    with lm.session() as session:
        ticket = session.submit(
            GenerationRequest(prompt=SUM, algorithm="basic", parameters=asked, trajectory=True)
        )
        for _ in range(5):
            session.step()
        session.cancel(ticket)
    assert ticket.result is not None
    found = ticket.result.trajectory
    assert found is not None
    assert sorted(found.committed_at) == [1, 2, 3, 4, 5]
    assert sum(found.in_answer) == len(ticket.result.token_ids)


def test_nobody_who_does_not_ask_has_one(lm: LoadedModel) -> None:
    asked: dict[str, Any] = {"prompt": SUM, "parameters": DRAWN}
    plain, traced = lm.generate_batch(
        [GenerationRequest(**asked), GenerationRequest(**asked, trajectory=True)]
    )
    assert plain.trajectory is None
    assert "trajectory" not in plain.as_dict()
    assert (traced.token_ids, traced.nfe) == (plain.token_ids, plain.nfe)


def test_it_survives_a_process_and_json(lm: LoadedModel) -> None:
    answer = result(lm, prompt=SUM, parameters={"max_tokens": 8})
    assert pickle.loads(pickle.dumps(answer)).trajectory == answer.trajectory
    told = json.loads(json.dumps(answer.as_dict()))["trajectory"]
    assert answer.trajectory is not None
    assert told["committed_at"] == list(answer.trajectory.committed_at)


def test_what_is_no_answer_to_the_question_is_refused(lm: LoadedModel) -> None:
    with pytest.raises(UsageError, match=r"trajectory=1 \(int\) is neither; give True or False"):
        lm.generate_batch([GenerationRequest(prompt=SUM, trajectory=1)])  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_confidence_that_it_is_taken_from_is_that_of_the_logits(device: str) -> None:
    """At temperature 0 logarithms are the confidence's, on a card of what a graph leaves. A draw so cold that
    noise changes nothing takes the same tokens, and its logarithms are a softmax of the logits."""
    with llada_core.load_model(engine="fast-dllm", device=device) as lm:
        likeliest, cold = (
            trajectory(
                lm,
                prompt=SUM,
                algorithm="dual_cache",
                parameters={**DRAWN, "temperature": temperature, "max_tokens": 64},
            )
            for temperature in (0.0, 1e-9)
        )
    assert (likeliest.token_ids, likeliest.committed_at) == (cold.token_ids, cold.committed_at)
    assert likeliest.log_probabilities == pytest.approx(cold.log_probabilities, abs=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_card_tells_it_too(temperature: float) -> None:
    """At temperature 0 by what a graph of a step leaves, above it by logits; the answer is the same."""
    asked: dict[str, Any] = {**DRAWN, "temperature": temperature, "max_tokens": 64}
    with llada_core.load_model(engine="fast-dllm", device="cuda") as lm:
        plain = lm.generate(SUM, algorithm="dual_cache", **asked)
        answer = result(lm, prompt=SUM, parameters=asked, algorithm="dual_cache", logprobs=0)
    found = answer.trajectory
    assert found is not None
    assert found.log_probabilities is not None
    assert answer.confidence is not None
    assert (answer.token_ids, answer.nfe) == (plain.token_ids, plain.nfe)
    logs = torch.tensor(answer.confidence, dtype=torch.float64).log().tolist()
    assert list(found.log_probabilities[: len(logs)]) == pytest.approx(logs, abs=1e-4)
    assert max(found.committed_at) <= answer.nfe
