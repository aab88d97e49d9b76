"""What a server repeats of a request, in errors and in its log, is short; and it sends nobody elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.apps import scripted_server
from tests.server.test_worker import until

LONG = "x" * 50_000
MESSAGE = {"role": "user", "content": "ab"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with scripted_server() as running, running.client() as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", {"messages": [MESSAGE], "model": LONG}),
        ("POST", "/v1/chat/completions", {"messages": [MESSAGE], "algorithm": LONG}),
        ("POST", "/v1/chat/completions", {"messages": [MESSAGE], "tools": LONG}),
        ("POST", "/v1/chat/completions", {"messages": [{**MESSAGE, LONG: 1}]}),
        ("POST", "/v1/completions", {"prompt": "a", "stream": True, "stream_options": {LONG: True}}),
        ("POST", "/v1/infill", {"template": "{{" + LONG + "}}"}),
        ("POST", "/v1/score", {"template": "{{1}}", "candidates": ["a"], LONG: 1}),
        ("GET", f"/{LONG}", None),
        ("GET", f"/v1/models/{LONG}", None),
        ("GET", f"/playground/{LONG}", None),
        ("PUT", f"/v1/models/{LONG}", None),
    ],
)
def test_what_an_error_repeats_is_shortened(client: httpx.Client, method: str, path: str, body: Any) -> None:
    told = client.request(method, path, json=body)
    assert 400 <= told.status_code < 500
    assert len(told.text) < 2000
    error = told.json()["error"]
    assert len(error["message"]) <= 1000
    assert len(error["param"] or "") <= 200


def test_a_long_message_keeps_its_end_which_says_what_to_do(client: httpx.Client) -> None:
    told = client.post("/v1/chat/completions", json={"messages": [MESSAGE], "model": LONG})
    assert told.json()["error"]["message"].endswith("is not served here; ask for 'scripted'")


def test_a_long_path_is_a_short_line_of_the_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="llada_server"):
        client.get(f"/{LONG}", headers={"X-Request-Id": "mine"})
        until(lambda: "id=mine" in caplog.text)
    (line,) = [each.getMessage() for each in caplog.records if "id=mine" in each.getMessage()]
    assert len(line) < 400


@pytest.mark.parametrize("path", ["/health/", "/version/", "/v1/completions/"])
def test_a_path_with_another_slash_is_another_path(client: httpx.Client, path: str) -> None:
    told = client.get(path, headers={"Host": "elsewhere.example"}, follow_redirects=False)
    assert told.status_code == 404
    assert "location" not in told.headers
    assert "does not exist here" in told.json()["error"]["message"]
