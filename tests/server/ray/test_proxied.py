"""An application behind the proxy of Ray Serve, as a cluster has it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.server.ray.clusters import Pool, needs_ray, proxied

pytestmark = [needs_ray, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("ray")]
COMPLETION = {"prompt": "12 + 30 = ", "max_tokens": 32}
KEY = {"Authorization": "Bearer k"}


@pytest.fixture(scope="module")
def server() -> Iterator[Pool]:
    with proxied() as running:
        yield running


@pytest.fixture
def http(server: Pool) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_a_request_keeps_its_id_from_the_client_to_the_replica(http: httpx.Client, server: Pool) -> None:
    answer = http.post("/v1/completions", json=COMPLETION, headers={**KEY, "X-Request-Id": "mine"})
    assert (answer.status_code, answer.headers.get_list("x-request-id")) == (200, ["mine"])
    assert len(http.get("/health").headers.get_list("x-request-id")) == 1


def test_the_key_is_asked_for(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json=COMPLETION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert http.get("/metrics").status_code == 401
    assert 'replica="' in http.get("/metrics", headers=KEY).text


def test_a_stream_comes_in_parts(http: httpx.Client) -> None:
    question = [{"role": "user", "content": "What is 12 + 30?"}]
    asking = {"messages": question, "stream": True, "stream_options": {"denoise": True}}
    with http.stream("POST", "/v1/chat/completions", json=asking, headers=KEY) as answer:
        parts = list(answer.iter_raw())
    assert len(parts) > 2
    lines = b"".join(parts).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(line.removeprefix("data: ")) for line in lines[:-2])


def test_errors_have_the_shape_of_all_errors(http: httpx.Client) -> None:
    for path in ("/v1/none", "/none"):
        assert http.get(path, headers=KEY).json()["error"]["type"] == "invalid_request_error"
    answer = http.post("/v1/completions", json={"prompt": "a", "treshold": 1}, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "treshold")
