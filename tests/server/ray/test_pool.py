"""Two replicas of the small model on this machine, by ``llada serve --replicas 2``."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.server.apps import model_server
from tests.server.batch.test_as_the_server import BODIES, OWN
from tests.server.ray.clusters import Pool, needs_ray, pool, until
from tests.server.ray.long import LONG, Stream, on_each
from tests.server.test_openai_client import (  # noqa: F401  # the single server's, run against two replicas
    test_a_chat_is_answered_with_what_it_took,
    test_a_request_chooses_its_algorithm_and_parameters,
    test_algorithms_are_told_with_what_they_take,
    test_an_answer_that_is_cut_says_so,
    test_errors_are_those_that_the_client_knows,
    test_models_are_listed,
    test_neighbours_change_nothing,
    test_text_goes_on_without_a_template,
)

pytestmark = [needs_ray, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("ray")]
COMPLETION = {"prompt": "12 + 30 = ", "max_tokens": 32}


@pytest.fixture(scope="module")
def alive() -> Iterator[Callable[[], Pool]]:
    """The pool, which is started where none lives: one test ends it."""
    started: list[Pool] = []
    with ExitStack() as stack:

        def running() -> Pool:
            if not started or started[-1].process.poll() is not None:
                started.append(stack.enter_context(pool(2, "--dtype", "float32", "--drain-timeout", "120")))
            return started[-1]

        yield running


@pytest.fixture
def server(alive: Callable[[], Pool]) -> Pool:
    return alive()


@pytest.fixture
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


def asked(server: Pool, number: int, body: dict[str, Any] = COMPLETION) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/completions", json=body, headers={"X-Request-Id": f"n{number}"})


def test_both_serve(server: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: asked(server, number), range(32)))
    assert {each.status_code for each in answers} == {200}
    assert [each.headers["x-request-id"] for each in answers] == [f"n{number}" for number in range(32)]
    assert len({each.json()["choices"][0]["text"] for each in answers}) == 1
    steps = server.figures("llada_steps_total")
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


def test_a_replica_that_hangs_costs_the_figures_of_no_other(server: Pool) -> None:
    until(lambda: len(server.figures()) == 2)
    names, victim = set(server.figures()), min(server.replicas())
    os.kill(victim, signal.SIGSTOP)
    try:
        with server.client() as client:
            answer = client.get("/metrics")
    finally:
        os.kill(victim, signal.SIGCONT)
    assert answer.status_code == 200
    assert "llada_replicas_silent 1.0" in answer.text.splitlines()
    assert len({name for name in names if f'replica="{name}"' in answer.text}) == 1
    until(lambda: len(server.figures()) == 2)


def test_a_replica_that_is_killed_under_load_costs_no_answer(server: Pool) -> None:
    processes, names = server.replicas(), set(server.figures())
    assert len(processes) == len(names) == 2
    with ThreadPoolExecutor(32) as threads:
        streams = on_each(server, lambda: Stream(server, threads))
        whole = on_each(server, lambda: threads.submit(asked, server, 0, LONG))
        victim = min(processes)
        os.kill(victim, signal.SIGKILL)
        after = [threads.submit(asked, server, number) for number in range(1, 9)]
        answers = [each.result() for each in (*whole, *after)]
        ends = [each.lines()[-1] for each in streams]
    assert [each.status_code for each in answers] == [200] * len(answers)
    assert "request n0 lost its replica and is asked again" in server.log.read_text()
    failed = [json.loads(end)["error"]["code"] for end in ends if end != "[DONE]"]
    assert 0 < len(failed) < len(ends)
    assert set(failed) == {"internal_error"}
    until(lambda: len(server.replicas() - {victim}) == 2)
    until(lambda: len(server.figures()) == 2)
    assert len(names & set(server.figures())) == 1, "one is another, by its name too"
    assert asked(server, 10).status_code == 200


def test_a_client_that_leaves_frees_its_row(server: Pool) -> None:
    def cancelled() -> float:
        return sum(server.figures("llada_request_success_total", finished_reason="cancelled").values())

    before = cancelled()
    with server.client() as client:
        asking = {**LONG, "stream": True, "stream_options": {"denoise": True}}
        with client.stream("POST", "/v1/completions", json=asking) as answer:
            next(answer.iter_lines())
    until(lambda: cancelled() == before + 1, seconds=20)
    assert not any(server.figures().values())


def test_the_log_has_the_start_and_each_request_with_its_id(server: Pool) -> None:
    asked(server, 4711)
    until(lambda: "id=n4711" in server.log.read_text(), seconds=5)
    log = server.log.read_text()
    assert f"listening on {server.url}" in log
    assert re.search(r"replicas: 2, cores of each: \d+, GPUs of each: 0", log)


def test_a_signal_lets_requests_finish_and_ends_all_processes(server: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = on_each(server, lambda: threads.submit(asked, server, 1, LONG))
        processes = server.processes()
        server.process.send_signal(signal.SIGTERM)
        assert {each.result().status_code for each in answers} == {200}
    assert server.process.wait(30) == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in processes)
    assert "Traceback" not in server.log.read_text()
