"""Streams, sessions and the program, on a tiny checkpoint with a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import llada_core
from llada_core import GenerationRequest
from tests.sdar.tiny_models import BLOCK, Variant, write_model
from tests.support.program import Llada

pytestmark = pytest.mark.alone

ALGORITHMS = ["sdar", "sdar_lmdeploy", "sdar_low_confidence"]


@pytest.fixture(scope="module", params=["dense", "moe"])
def lm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[llada_core.LoadedModel]:
    variant: Variant = request.param
    with llada_core.load_model(
        write_model(tmp_path_factory.mktemp(variant), variant), device="cpu"
    ) as loaded:
        yield loaded


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_is_settled_never_changes(lm: llada_core.LoadedModel, name: str) -> None:
    for prompt in ([20, 21, 22], [50] * 9):
        settled: list[int] = []
        for step in lm.stream(prompt, algorithm=name, gen_length=30, threshold=0.5):
            now = list(step.ticket.canvas[: step.settled])
            assert now[: len(settled)] == settled
            assert None not in now
            settled = now
        result = step.result
        assert result is not None
        assert tuple(settled[: len(result.token_ids)]) == tuple(result.token_ids)
        assert result.nfe == step.nfe


def test_closing_a_stream_stops_the_work(lm: llada_core.LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network, calls = lm.model.network, []
    forward = type(network).logits
    monkeypatch.setattr(type(network), "logits", lambda *args: calls.append(1) or forward(*args))
    steps = lm.stream([20, 21, 22], gen_length=32)
    next(steps)
    steps.close()
    assert len(calls) == 1


def test_a_cancelled_row_leaves_and_its_neighbours_do_not_notice(lm: llada_core.LoadedModel) -> None:
    def request(name: str) -> GenerationRequest:
        return GenerationRequest(prompt=[20, 21, 22], algorithm=name, parameters={"gen_length": 24})

    alone = [lm.generate_batch([request(name)])[0] for name in ALGORITHMS]
    with lm.session(rows=4) as session:
        tickets = [session.submit(request(name)) for name in ALGORITHMS]
        leaving = session.submit(request("sdar"))
        session.step()
        session.cancel(leaving)
        results = {step.ticket: step.result for step in session if step.finished}
    assert results[leaving] is not None
    assert results[leaving].finish_reason == "cancelled"
    for ticket, expected in zip(tickets, alone, strict=True):
        found = results[ticket]
        assert found is not None
        assert (found.token_ids, found.nfe) == (expected.token_ids, expected.nfe)


def test_the_program_generates_by_each_algorithm(tmp_path: Path, llada: Llada) -> None:
    folder = str(write_model(tmp_path))
    for name in ALGORITHMS:
        status, out, _ = llada(
            "generate", "Hi", "--model", folder, "--algorithm", name, "-p", "gen_length=8", "--json"
        )
        assert status == 0
        told = json.loads(out)
        assert told["algorithm"] == name
        assert told["parameters"]["block_length"] == BLOCK  # the model's


def test_the_program_talks_and_measures(tmp_path: Path, llada: Llada) -> None:
    folder, prompts = str(write_model(tmp_path / "model", "moe")), tmp_path / "prompts.txt"
    status, out, err = llada("chat", "--model", folder, "--max-tokens", "8", typed="Hi\n")
    assert (status, len(out.rstrip())) == (0, 8)
    assert err.startswith("NFE ")
    prompts.write_text("Hi\nHello\n")
    asked = ("--prompts", str(prompts), "--gen-length", "8", "--repeats", "1", "--warm-up", "0", "--json")
    status, out, _ = llada("bench", "--model", folder, *asked, "--algorithm", "sdar_lmdeploy")
    assert status == 0
    assert "sdar_lmdeploy" in json.dumps(json.loads(out))


def test_an_algorithm_of_another_engine_is_not_offered(lm: llada_core.LoadedModel) -> None:
    assert sorted(lm.algorithms()) == ALGORITHMS
    assert all(reason is None for reason in lm.algorithms().values())
