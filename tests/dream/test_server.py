"""The server on a Dream model: chat completions, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("llada_server")

from tests.dream.dream_data import ALGORITHMS
from tests.dream.tiny import write_model
from tests.server.apps import Running, model_server

MESSAGES = [{"role": "user", "content": "What is 1 + 2?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = write_model(tmp_path_factory.mktemp("served"))
    with model_server(model=str(folder), engine="dream", served_model_name="dream") as running:
        yield running


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_stream_comes_to_what_the_whole_answer_is(server: Running, name: str) -> None:
    own = {"steps": 16} if name == "dream" else {}
    body = {"model": "dream", "messages": MESSAGES, "max_tokens": 16, "seed": 3, "algorithm": name, **own}
    with server.client() as client:
        whole = client.post("/v1/chat/completions", json=body)
        streamed = client.post("/v1/chat/completions", json={**body, "stream": True})
    assert (whole.status_code, streamed.status_code) == (200, 200), whole.text
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    parts = [json.loads(line)["choices"] for line in lines[:-1]]
    text = "".join(part[0]["delta"].get("content") or "" for part in parts if part)
    assert text == whole.json()["choices"][0]["message"]["content"]


def test_another_engines_algorithm_is_refused_by_name(server: Running) -> None:
    body = {"model": "dream", "messages": MESSAGES, "max_tokens": 8, "algorithm": "basic"}
    with server.client() as client:
        refused = client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "basic" in refused.json()["error"]["message"]
