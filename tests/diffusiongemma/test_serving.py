"""The program and the server on a checkpoint of the family: generate, chat, bench, and streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.server.apps import Running, model_server
from tests.support.program import Llada

ASKED = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with model_server(model=str(folder), engine="diffusion_gemma", served_model_name="gemma") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


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


def test_a_served_answer_streams_a_canvas_at_a_time(client: OpenAI) -> None:
    asked = {"model": "gemma", "messages": ASKED, "max_tokens": 24, "seed": 3}
    whole = client.chat.completions.create(**asked, extra_body={"early_stop": False})
    assert whole.usage is not None
    told = whole.model_extra["generation"]
    assert (told["algorithm"], told["parameters"]["canvas_length"]) == ("diffusion_gemma", 8)
    parts = [
        chunk.choices[0].delta.content
        for chunk in client.chat.completions.create(**asked, stream=True, extra_body={"early_stop": False})
        if chunk.choices and chunk.choices[0].delta.content
    ]
    assert "".join(parts) == whole.choices[0].message.content
    assert 2 <= len(parts) <= 3
    assert all(len(part) <= 16 for part in parts)


def test_a_temperature_is_refused_with_what_to_give(client: OpenAI) -> None:
    for temperature in (0.0, 0.7, 1.0):
        with pytest.raises(openai.BadRequestError, match=r"it always draws, .* t_max to t_min; give these"):
            client.chat.completions.create(
                model="gemma", messages=ASKED, max_tokens=8, temperature=temperature
            )
    told = client.chat.completions.create(
        model="gemma", messages=ASKED, max_tokens=8, extra_body={"t_min": 0.1, "t_max": 0.3}
    )
    assert told.model_extra["generation"]["parameters"]["t_max"] == 0.3
