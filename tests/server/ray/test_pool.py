"""Two replicas of the small model on this machine, by ``llada serve --replicas 2``."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.server.apps import model_server
from tests.server.batch.test_as_the_server import BODIES, OWN
from tests.server.ray.clusters import Pool, needs_ray, pool, until
from tests.server.test_openai_client import (  # noqa: F401  # the single server's, run against two replicas
    test_a_chat_is_answered_with_what_it_took,
    test_an_answer_that_is_cut_says_so,
    test_errors_are_those_that_the_client_knows,
    test_models_are_listed,
    test_text_goes_on_without_a_template,
)

pytestmark = [needs_ray, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("ray")]
COMPLETION = {"prompt": "12 + 30 = ", "max_tokens": 32}
# As many forwards as tokens: long enough to lose a replica in the middle of it.
LONG = {"prompt": "Once", "max_tokens": 64, "algorithm": "basic", "steps": 64, "early_stop": False}


@pytest.fixture(scope="module")
def server() -> Iterator[Pool]:
    with pool(2, "--dtype", "float32") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Pool) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, without_own(answer.json())


def without_own(value: Any) -> Any:
    """What is not of one answer alone."""
    if isinstance(value, dict):
        return {name: without_own(each) for name, each in value.items() if name not in OWN}
    return [without_own(each) for each in value] if isinstance(value, list) else value


def test_answers_and_errors_are_those_of_one_server(server: Pool) -> None:
    with model_server(device="cpu", dtype="float32") as alone, alone.client() as one, server.client() as many:
        for path, body in BODIES:
            given = json.dumps(body)  # lone halves of characters too, which httpx does not encode
            headers = {"Content-Type": "application/json"}
            expected, found = (each.post(path, content=given, headers=headers) for each in (one, many))
            assert told(found) == told(expected), (path, body)


def asked(server: Pool, number: int) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/completions", json=COMPLETION, headers={"X-Request-Id": f"n{number}"})


def test_both_serve(server: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: asked(server, number), range(32)))
    assert {each.status_code for each in answers} == {200}
    assert [each.headers["x-request-id"] for each in answers] == [f"n{number}" for number in range(32)]
    assert len({each.json()["choices"][0]["text"] for each in answers}) == 1
    steps = server.counted()
    assert len(steps) == 2
    assert all(steps.values())


def test_requests_that_are_wrong_evict_nobody(server: Pool) -> None:
    before = server.replicas()
    with server.client() as client:
        for body in ({"prompt": 3}, {"prompt": "a", "treshold": 1}) * 16:
            assert client.post("/v1/completions", json=body).status_code == 400
        assert client.post("/v1/completions", json=COMPLETION).status_code == 200
    assert server.replicas() == before
    assert len(before) == 2


def streamed(server: Pool) -> list[str]:
    """The data of every event of a long stream."""
    asking = {**LONG, "stream": True, "stream_options": {"denoise": True}}
    with server.client() as client, client.stream("POST", "/v1/completions", json=asking) as answer:
        assert answer.status_code == 200
        return [line.removeprefix("data: ") for line in answer.iter_lines() if line]


def test_a_replica_that_is_killed_under_load_costs_no_answer(server: Pool) -> None:
    before, steps = server.replicas(), sum(server.counted().values())
    assert len(before) == 2
    with ThreadPoolExecutor(16) as threads:
        whole = [threads.submit(asked, server, number) for number in range(4)]
        long = [
            threads.submit(httpx.post, f"{server.url}/v1/completions", json=LONG, timeout=120)
            for _ in range(4)
        ]
        streams = [threads.submit(streamed, server) for _ in range(6)]
        until(lambda: sum(server.counted().values()) > steps + 20)
        os.kill(min(before), signal.SIGKILL)
        whole += [threads.submit(asked, server, number) for number in range(4, 24)]
        answers = [each.result() for each in (*whole, *long)]
        events = [each.result() for each in streams]
    assert [each.status_code for each in answers] == [200] * len(answers)
    assert len({each.json()["choices"][0]["text"] for each in answers[: len(whole)]}) == 1
    ends = [each[-1] for each in events]
    failed = [json.loads(end)["error"] for end in ends if end != "[DONE]"]
    assert failed, "at least one stream was in the replica that was killed"
    assert len(failed) < len(ends), "and one was not"
    assert {each["code"] for each in failed} == {"internal_error"}
    until(lambda: len(server.replicas() - {min(before)}) == 2)
    until(lambda: len(server.counted()) == 2)
    with server.client() as client:
        assert client.post("/v1/completions", json=COMPLETION).status_code == 200


def test_a_client_that_leaves_frees_its_row(server: Pool) -> None:
    with server.client() as client:
        asking = {**LONG, "stream": True}
        with client.stream("POST", "/v1/completions", json=asking) as answer:
            next(answer.iter_lines())

        def running() -> float:
            return float(client.get("/batch/stats").json()["num_requests_running"])

        until(lambda: running() == 0, seconds=5)


def test_the_log_has_the_start_and_each_request_with_its_id(server: Pool) -> None:
    asked(server, 4711)
    until(lambda: "id=n4711" in server.log.read_text(), seconds=5)
    log = server.log.read_text()
    assert f"listening on {server.url}" in log
    assert re.search(r"replicas: 2, cores of each: \d+, GPUs of each: 0", log)
    assert "lost its replica and is asked again" in log


def test_a_signal_lets_requests_finish_and_ends_all_processes() -> None:
    with pool(1) as running, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(httpx.post, f"{running.url}/v1/completions", json=LONG, timeout=60)
        until(lambda: sum(running.counted().values()) > 3)
        replicas = running.replicas()
        running.process.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 200
        assert running.process.wait(30) == 0
        assert not any(os.path.exists(f"/proc/{pid}") for pid in replicas)
        assert "Traceback" not in running.log.read_text()
