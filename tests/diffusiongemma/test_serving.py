"""The program and the server on a checkpoint of the family: generate, chat, bench, and streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Llada
from tests.support.served import served_client

pytestmark = pytest.mark.alone

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def client(lm: Any) -> Iterator[Any]:
    """A client of the server, where its package is installed beside the engine."""
    with served_client(lm, "diffusion_gemma") as made:
        yield made


def test_the_program_generates_streams_and_talks(folder: Path, llada: Llada) -> None:
    asked = ("--model", str(folder), "--max-tokens", "12", "-p", "seed=3", "-p", "early_stop=false")
    status, out, _ = llada("generate", "Hi", *asked, "--json")
    told = json.loads(out)
    assert (status, told["algorithm"], told["engine"]) == (0, "diffusion_gemma", "diffusion_gemma")
    assert told["parameters"]["max_denoising_steps"] == 6
    status, out, err = llada("chat", *asked, typed="Hi\n")
    assert status == 0
    assert err.startswith("NFE ")
    assert out.rstrip("\n")


def test_the_program_measures_it(folder: Path, llada: Llada, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("Hi\nHello\n")
    asked = ("--prompts", str(tmp_path / "prompts.txt"), "--gen-length", "12", "--repeats", "1")
    status, out, _ = llada("bench", "--model", str(folder), *asked, "--warm-up", "0", "--json")
    assert status == 0
    assert '"diffusion_gemma"' in out
    assert json.loads(out)


def test_a_served_answer_streams_a_canvas_at_a_time(client: Any) -> None:
    asked = {**ASKED, "max_tokens": 24, "seed": 3, "early_stop": False}
    whole = client.post("/v1/chat/completions", json=asked).json()
    told = whole["generation"]
    assert (told["algorithm"], told["parameters"]["canvas_length"]) == ("diffusion_gemma", 8)
    streamed = client.post("/v1/chat/completions", json={**asked, "stream": True}).text
    lines = [line.removeprefix("data: ") for line in streamed.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    parts = [delta["content"] for delta in deltas if delta.get("content")]
    assert "".join(parts) == whole["choices"][0]["message"]["content"]
    assert 2 <= len(parts) <= 3


def test_a_temperature_is_refused_with_what_to_give(client: Any) -> None:
    for temperature in (0, 0.7, 1.0):
        asked = {**ASKED, "max_tokens": 8, "temperature": temperature}
        told = client.post("/v1/chat/completions", json=asked)
        assert told.status_code == 400
        assert "it always draws, at a temperature that falls from t_max to t_min; give these" in told.text
    told = client.post("/v1/chat/completions", json={**ASKED, "max_tokens": 8, "t_min": 0.1, "t_max": 0.3})
    assert (told.status_code, told.json()["generation"]["parameters"]["t_max"]) == (200, 0.3)
