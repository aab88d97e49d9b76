"""An application behind the proxy of Ray Serve, under a path of its own, as a cluster has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx
import pytest

from tests.server.ray.clusters import KEY, Pool, needs_ray, proxied, until
from tests.server.ray.long import LONG, Stream, on_each

pytestmark = [needs_ray, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("ray")]
COMPLETION = {"prompt": "12 + 30 = ", "max_tokens": 32}
ORIGIN = {"Origin": "https://mine.example"}


@pytest.fixture(scope="module")
def server() -> Iterator[Pool]:
    with proxied() as running:
        yield running


@pytest.fixture
def http(server: Pool) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_a_request_keeps_its_id_from_the_client_to_the_replica(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json=COMPLETION, headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.headers.get_list("x-request-id")) == (200, ["mine"])
    assert len(http.get("/health").headers.get_list("x-request-id")) == 1


def test_an_id_that_is_none_stands_behind_that_of_the_logs(server: Pool, http: httpx.Client) -> None:
    first, second = http.get("/health", headers={"X-Request-Id": "a b"}).headers.get_list("x-request-id")
    assert second == "a b"
    until(lambda: server.log.read_text().count(f"id={first}") == 2)


def test_the_key_is_asked_for(http: httpx.Client) -> None:
    assert 'replica="' in http.get("/metrics").text
    del http.headers["Authorization"]
    answer = http.post("/v1/completions", json=COMPLETION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert http.get("/metrics").status_code == 401
    assert http.get("/health").status_code == 200


def test_the_page_and_what_describes_the_server_are_under_the_path(server: Pool, http: httpx.Client) -> None:
    page = httpx.get(server.url, follow_redirects=True)
    assert (page.url.path, page.headers["content-type"]) == ("/llada/", "text/html; charset=utf-8")
    assert http.get("/openapi.json").json()["servers"] == [{"url": "/llada"}]


def test_pages_of_an_origin_may_ask(http: httpx.Client) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = http.options("/v1/completions", headers={**ORIGIN, **wanted})
    assert preflight.status_code == 200
    answers = [preflight, http.get("/v1/models", headers=ORIGIN), http.get("/v1/none", headers=ORIGIN)]
    assert [each.headers.get_list("access-control-allow-origin") for each in answers] == [
        [ORIGIN["Origin"]]
    ] * 3


def test_a_stream_comes_in_parts(http: httpx.Client) -> None:
    question = [{"role": "user", "content": "What is 12 + 30?"}]
    asking = {"messages": question, "stream": True, "stream_options": {"denoise": True}}
    with http.stream("POST", "/v1/chat/completions", json=asking) as answer:
        parts = list(answer.iter_raw())
    assert len(parts) > 2
    lines = b"".join(parts).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(line.removeprefix("data: ")) for line in lines[:-2])


def test_errors_have_the_shape_of_all_errors(http: httpx.Client) -> None:
    assert http.get("/v1/none").json()["error"]["type"] == "invalid_request_error"
    answer = http.post("/v1/completions", json={"prompt": "a", "treshold": 1})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "treshold")
    large = http.post("/v1/completions", json={"prompt": "a" * 20_000})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_leaves_frees_its_row(server: Pool, streams: bool) -> None:
    until(lambda: not any(server.figures().values()))
    before, told = cancelled(server), server.log.read_text().count(" 499 ")
    url = httpx.URL(server.url)
    connection = HTTPConnection(url.host, url.port or 80)
    headers = {**KEY, "Content-Type": "application/json"}
    body = json.dumps({**LONG, "stream": streams})
    connection.request("POST", f"{url.path}/v1/completions", body, headers)
    until(lambda: any(server.figures().values()))
    connection.close()
    until(lambda: cancelled(server) > before, seconds=20)
    until(lambda: server.log.read_text().count(" 499 ") > told, seconds=30)


def cancelled(server: Pool) -> float:
    return sum(server.figures("llada_request_success_total", finished_reason="cancelled").values())


def test_a_replica_that_goes_as_fewer_are_needed_costs_no_answer(server: Pool) -> None:
    server.scale(2)
    until(lambda: len(server.figures()) == 2)
    with ThreadPoolExecutor(32) as threads:
        streams = on_each(server, lambda: Stream(server, threads))
        whole = on_each(server, lambda: threads.submit(asked, server, LONG))
        server.scale(1)
        while len(server.replicas()) == 2:
            whole.append(threads.submit(asked, server, COMPLETION))
            whole[-1].result()
        answers = [each.result() for each in whole]
        ends = [each.lines()[-1] for each in streams]
    assert [each.status_code for each in answers] == [200] * len(answers)
    assert ends == ["[DONE]"] * len(ends)
    assert len(server.figures()) == 1


def asked(server: Pool, body: dict[str, object]) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/completions", json=body)
