"""The server on a Dream model: chat completions, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from tests.dream.dream_data import ALGORITHMS
from tests.dream.tiny import write_model
from tests.support.served import served_client

pytestmark = pytest.mark.alone

MESSAGES = [{"role": "user", "content": "What is 1 + 2?"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the server, where its package is installed beside the engine."""
    folder = write_model(tmp_path_factory.mktemp("served"))
    with (
        llada_core.load_model(folder, engine="dream", device="cpu") as lm,
        served_client(lm, "dream", served_model_name="dream") as made,
    ):
        yield made


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_stream_comes_to_what_the_whole_answer_is(client: Any, name: str) -> None:
    own = {"steps": 16} if name == "dream" else {}
    body = {"model": "dream", "messages": MESSAGES, "max_tokens": 16, "seed": 3, "algorithm": name, **own}
    whole = client.post("/v1/chat/completions", json=body)
    streamed = client.post("/v1/chat/completions", json={**body, "stream": True})
    assert (whole.status_code, streamed.status_code) == (200, 200), whole.text
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    parts = [json.loads(line)["choices"] for line in lines[:-1]]
    text = "".join(part[0]["delta"].get("content") or "" for part in parts if part)
    assert text == whole.json()["choices"][0]["message"]["content"]


def test_another_engines_algorithm_is_refused_by_name(client: Any) -> None:
    body = {"model": "dream", "messages": MESSAGES, "max_tokens": 8, "algorithm": "basic"}
    refused = client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "basic" in refused.json()["error"]["message"]
