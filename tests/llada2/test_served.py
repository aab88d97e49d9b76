"""Edited answers over HTTP: final text alone is sent, and frames of denoising tell each edit to who asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import llada_core
from tests.support.served import served_client

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def client(lm: llada_core.LoadedModel) -> Iterator[Any]:
    """A client of the server, where its package is installed beside the engine."""
    with served_client(lm, "llada2") as made:
        yield made


def events(client: Any, **body: Any) -> list[dict[str, Any]]:
    told = client.post("/v1/completions", json={"prompt": "abc def", "stream": True, **body})
    assert told.status_code == 200, told.text
    lines = [line.removeprefix("data: ") for line in told.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


ASKED: dict[str, Any] = {
    "algorithm": "llada2_edit",
    "max_tokens": 20,
    "block_length": 8,
    "threshold": 0.3,
    "editing_threshold": 0.0,
    "early_stop": False,
}


def test_the_server_streams_final_text_and_tells_edits_to_those_who_ask(client: Any) -> None:
    told = events(client, **ASKED, stream_options={"denoise": True})
    frames = [event for event in told if event["object"] == "generation.denoise"]
    revoked = [position for frame in frames for position in frame["revoked"]]
    assert revoked
    canvas: list[int | None] = [None] * 20
    for frame in frames:
        for position in frame["revoked"]:
            assert canvas[position] is not None
            canvas[position] = None
        for position, token in zip(frame["positions"], frame["tokens"], strict=True):
            assert canvas[position] is None
            canvas[position] = token
    assert None not in canvas
    text = "".join(event["choices"][0]["text"] for event in told if event["choices"])
    whole = client.post("/v1/completions", json={"prompt": "abc def", **ASKED}).json()
    assert text == whole["choices"][0]["text"]


def test_the_server_sends_text_in_parts_that_add_up(client: Any) -> None:
    parts = [event["choices"][0]["text"] for event in events(client, **ASKED) if event["choices"]]
    assert len([part for part in parts if part]) >= 2
