"""What /metrics tells: real requests are run, and the figures are read as Prometheus reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llada_core.generation.results import GenerationRequest, Score
from llada_server.metrics import Metrics
from llada_server.scheduler.events import Failed
from llada_server.scheduler.work import Closing, Full
from llada_server.scheduler.worker import Worker
from tests.server.apps import Client, Running, model_server, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import Heard, request, until

NAMES = {
    "num_requests_running",
    "num_requests_waiting",
    "kv_cache_columns",
    "prompt_tokens",
    "generation_tokens",
    "request_success",
    "request_failure",
    "request_refused",
    "request_queue_time_seconds",
    "request_decode_time_seconds",
    "e2e_request_latency_seconds",
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "diffusion_num_denoising_steps",
    "diffusion_num_canvas_positions",
    "diffusion_num_committed_tokens",
    "diffusion_forwards_per_block",
    "tokens_per_forward",
    "steps",
    "step_batch_size",
    "step_committed_tokens",
    "step_duration_seconds",
    "forwards_after_cancel",
    "score_requests",
    "score_latency_seconds",
}


def figure(client: Client, name: str, **labels: str) -> float:
    """The sum of the samples of ``name`` with these labels."""
    exposition = client.get("/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == f"llada_{name}" and labels.items() <= sample.labels.items()
    )


def complete(client: Client, script: str, **body: Any) -> int:
    return client.post("/v1/completions", json={"prompt": script, **body}).status_code


@pytest.fixture
def server() -> Iterator[Running]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with server.client() as client:
        yield client


def test_every_figure_has_its_name_the_prefix_and_the_model_s_name(client: Client) -> None:
    complete(client, "abc")
    complete(client, "a!")
    client.post("/v1/score", json={"template": "{{1}}", "candidates": ["b"]})
    found = text_string_to_metric_families(client.get("/metrics").text)
    families = [family for family in found if not family.name.endswith("_created")]
    assert {family.name.removeprefix("llada_") for family in families} == NAMES
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["model_name"] for sample in samples} == {"scripted"}
    assert {family.name for family in families if not family.documentation.endswith(".")} == set()


def test_tokens_steps_and_positions_are_those_of_the_answers(client: Client) -> None:
    assert [complete(client, script) for script in ("abcd", "xy")] == [200, 200]
    told = {"algorithm": "scripted"}
    assert figure(client, "prompt_tokens_total", **told) == 3 + 3
    assert figure(client, "generation_tokens_total", **told) == 4 + 2
    assert figure(client, "diffusion_num_denoising_steps_total", **told) == 4 + 2
    assert figure(client, "diffusion_num_canvas_positions_total", **told) == 4 + 2
    assert figure(client, "diffusion_num_committed_tokens_total", **told) == 4 + 2
    assert figure(client, "steps_total") == 4 + 2
    assert figure(client, "step_committed_tokens_sum") == 4 + 2


def test_each_answer_is_measured_once(client: Client) -> None:
    complete(client, "abcd")
    complete(client, "xy")
    for name in ("request_queue_time", "request_decode_time", "e2e_request_latency", "inter_token_latency"):
        assert figure(client, f"{name}_seconds_count", algorithm="scripted") == 2
    assert figure(client, "time_to_first_token_seconds_count", algorithm="scripted") == 2
    assert figure(client, "tokens_per_forward_sum", algorithm="scripted") == 2 * 1.0
    assert figure(client, "diffusion_forwards_per_block_sum", algorithm="scripted") == 4 + 2
    whole, queued, decoded = (
        figure(client, f"{name}_seconds_sum")
        for name in ("e2e_request_latency", "request_queue_time", "request_decode_time")
    )
    assert whole == pytest.approx(queued + decoded)
    assert 0 < figure(client, "time_to_first_token_seconds_sum") <= whole


def test_requests_are_counted_by_how_they_ended(client: Client) -> None:
    complete(client, "abc")
    assert complete(client, "a!") == 500
    assert complete(client, "") == 400
    assert figure(client, "request_success_total", finished_reason="stop") == 1
    assert figure(client, "request_success_total") == 1
    assert figure(client, "request_failure_total", algorithm="scripted", error="GenerationError") == 1
    assert figure(client, "e2e_request_latency_seconds_count") == 1


def test_requests_that_were_never_in_work_are_counted() -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    metrics = Metrics("alone")
    worker = Worker(lambda: session, limit=3, watcher=metrics)
    worker.start()
    try:
        worker.post(request("ab"), Heard())
        until(lambda: session.active == 1)
        refused = Heard()
        worker.post(request(""), refused)
        worker.cancel(worker.post(request("cd"), Heard()))
        with pytest.raises(Full):
            worker.post(request("ef"), Heard())
        with pytest.raises(Full):
            worker.ask(int)
        session.gate.release(100)
        refused.wait()
        until(lambda: worker.accepted == 0)
        worker.close()
        with pytest.raises(Closing):
            worker.post(request("gh"), Heard())
    finally:
        session.gate.release(1000)
        worker.stop(5)
    told = {
        (sample.name.removeprefix("llada_"), *sorted(sample.labels.items())[:-1]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name in ("llada_request_refused_total", "llada_request_success_total")
    }
    assert told == {
        ("request_refused_total", ("error", "ParameterError")): 1,
        ("request_refused_total", ("error", "Full")): 2,
        ("request_refused_total", ("error", "Closing")): 1,
        ("request_success_total", ("algorithm", ""), ("finished_reason", "cancelled")): 1,
        ("request_success_total", ("algorithm", "scripted"), ("finished_reason", "stop")): 1,
    }


def test_nothing_is_in_work_when_the_thread_has_broken(caplog: pytest.LogCaptureFixture) -> None:
    """Gauges stood for good where they were when it broke."""

    def explode() -> None:
        if session.steps == 2:
            raise RuntimeError("out of luck")

    session, metrics, heard = ScriptedSession(breaks=explode), Metrics("alone"), Heard()
    worker = Worker(lambda: session, limit=9, watcher=metrics)
    metrics.watch(running=lambda: worker.running, accepted=lambda: worker.accepted, columns=100)
    worker.start()
    worker.post(request("abcdef"), heard)
    assert isinstance(heard.wait(), Failed)
    worker.stop(5)
    told = metrics.stats()
    gauges = ("num_requests_running", "num_requests_waiting", "kv_cache_columns", "kv_cache_usage_perc")
    assert [told[name] for name in gauges] == [0, 0, 0, 0]
    assert told["steps_total"] == 2
    assert told["request_failure_total"] == 1
    lost = 'llada_request_failure_total{algorithm="scripted",error="Broken",model_name="alone"} 1.0'
    assert lost in metrics.exposition().decode()


def test_scores_are_counted_by_how_they_ended() -> None:
    def score(*given: Any, **more: Any) -> list[Score]:
        if given[1] == ["broken"]:
            raise RuntimeError("boom")
        return [Score(text="b", token_ids=(1,), log_probability=-1.0)]

    with scripted_server(score=score) as running, running.client() as client:
        for candidates, status in ((["b"], 200), (["broken"], 500)):
            body = {"template": "a {{1}}", "candidates": candidates}
            assert client.post("/v1/score", json=body).status_code == status
        assert figure(client, "score_requests_total", outcome="answered") == 1
        assert figure(client, "score_requests_total", outcome="failed") == 1
        assert figure(client, "score_latency_seconds_count") == 1


def test_running_and_waiting_are_what_is_in_work() -> None:
    gate = threading.Semaphore(0)
    with scripted_server(ScriptedSession(gate=gate)) as running, running.client() as client:
        asking = [threading.Thread(target=complete, args=(client, "abcd")) for _ in range(3)]
        for thread in asking:
            thread.start()
        until(lambda: running.worker.accepted == 3)
        begun = figure(client, "num_requests_running")  # in the first step, which has not ended
        assert begun >= 1
        assert figure(client, "num_requests_waiting") == 3 - begun
        gate.release(2)  # the first may begin before the others are posted
        until(lambda: figure(client, "num_requests_running") == 3)
        assert figure(client, "num_requests_waiting") == 0
        assert figure(client, "kv_cache_columns") == 3 * (3 + 4)
        gate.release(100)
        for thread in asking:
            thread.join(5)
        until(lambda: figure(client, "num_requests_running") == 0)
        assert figure(client, "kv_cache_columns") == 0


def test_what_is_too_long_is_no_answer() -> None:
    with model_server(max_model_len=24) as small, small.client() as client:
        for _ in range(3):
            assert complete(client, "1 + 1 =", max_tokens=32) == 400
        assert figure(client, "request_success_total") == 0
        assert figure(client, "request_failure_total") == 0
        assert figure(client, "prompt_tokens_total") == 0
        assert figure(client, "diffusion_num_canvas_positions_total") == 0


def test_a_text_that_cannot_be_told_is_a_failure_and_no_answer(client: Client) -> None:
    assert complete(client, "~bcd") == 500
    assert figure(client, "request_success_total") == 0
    assert figure(client, "prompt_tokens_total") == 0
    assert figure(client, "request_failure_total", error="ModelError") == 1


def test_the_rows_of_a_step_are_its_batch_size() -> None:
    gate = threading.Semaphore(0)
    with scripted_server(ScriptedSession(gate=gate)) as running, running.client() as client:
        body = {"prompt": ["abcd", "efgh", "ijkl"]}
        asking = threading.Thread(target=client.post, args=("/v1/completions",), kwargs={"json": body})
        asking.start()
        until(lambda: running.worker.accepted == 3)
        gate.release(100)
        asking.join(5)
        assert figure(client, "step_batch_size_sum") == 3 * 4
        steps = figure(client, "step_batch_size_count")
        assert steps == figure(client, "steps_total") in (4, 5)


def test_a_cancelled_answer_is_counted_and_not_measured() -> None:
    metrics, session = Metrics("alone"), ScriptedSession()
    ticket = session.submit(GenerationRequest(prompt="abcd"))
    metrics.stepped(session.step())
    session.cancel(ticket)
    metrics.stepped(session.step())
    told = metrics.stats()
    assert told["request_success_total"] == 1
    assert told["diffusion_num_committed_tokens_total"] == 1
    assert "e2e_request_latency_seconds_count" not in told


def test_the_share_of_the_cache_is_told_where_its_budget_is_known() -> None:
    metrics, session = Metrics("alone"), ScriptedSession()
    metrics.watch(running=lambda: 1, accepted=lambda: 1, columns=14)
    session.submit(GenerationRequest(prompt="abcd"))
    assert metrics.stats()["kv_cache_usage_perc"] == 0
    metrics.stepped(session.step())
    assert metrics.stats()["kv_cache_usage_perc"] == (3 + 4) / 14


def test_forwards_are_counted_for_each_block() -> None:
    metrics, session = Metrics("alone"), ScriptedSession()
    session.submit(GenerationRequest(prompt="abcdef"))
    for block in (0, 0, 1, 1, 1, 2):
        metrics.stepped([replace(step, block=block) for step in session.step()])
    told = metrics.stats()
    assert told["diffusion_forwards_per_block_count"] == 3
    assert told["diffusion_forwards_per_block_sum"] == 6
    exposition = metrics.exposition().decode()
    series = 'llada_diffusion_forwards_per_block_bucket{algorithm="scripted",le="%s",model_name="alone"} %s'
    assert [series % pair in exposition for pair in (("1.0", 1.0), ("2.0", 2.0), ("3.0", 3.0))] == [True] * 3


def test_the_time_of_an_idle_thread_is_no_step() -> None:
    metrics, session = Metrics("alone"), ScriptedSession()
    for script in ("a", "b"):
        session.submit(GenerationRequest(prompt=script))
        metrics.stepped(session.step())
        metrics.idle()
    assert metrics.stats()["step_duration_seconds_count"] == 0


def test_algorithms_of_the_small_model_are_told_apart() -> None:
    with model_server() as running, running.client() as client:
        for name in ("basic", "dual_cache"):
            body = {"prompt": "1 + 1 =", "max_tokens": 32, "algorithm": name}
            told = client.post("/v1/completions", json=body).json()
            forwards = figure(client, "diffusion_num_denoising_steps_total", algorithm=name)
            assert forwards == told["generation"]["nfe"]
            assert figure(client, "diffusion_forwards_per_block_sum", algorithm=name) == forwards
            committed = figure(client, "diffusion_num_committed_tokens_total", algorithm=name)
            assert told["usage"]["completion_tokens"] <= committed <= 32
