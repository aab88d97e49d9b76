"""A model whose folder has no tokenizer is served by token ids; its answers have no text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import llada_tiny
from llada_core import GenerationRequest, LoadedModel, ParameterError, load_model
from tests.server.apps import model_server

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    for file in Path(llada_tiny.model_path()).iterdir():
        if "token" not in file.name and not file.name.endswith("jinja"):
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def model(bare: Path) -> Iterator[LoadedModel]:
    with load_model(bare, engine="fast-dllm") as model:
        yield model


@pytest.fixture(scope="module")
def ids() -> list[int]:
    with load_model(engine="fast-dllm") as whole:
        return whole.model.encode(QUESTION)


@pytest.fixture(scope="module")
def client(bare: Path) -> Iterator[httpx.Client]:
    with model_server(model=str(bare)) as running, running.client() as client:
        yield client


@pytest.mark.parametrize("algorithm", ["basic", "dual_cache"])
def test_ids_are_answered_whole_and_in_a_stream(
    client: httpx.Client, model: LoadedModel, ids: list[int], algorithm: str
) -> None:
    how = {"max_tokens": 32, "block_length": 8}
    wanted = model.generate(ids, algorithm=algorithm, **how)
    body = {"prompt": ids, "generation_algorithm": algorithm, **how}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200
    told = response.json()
    assert told["choices"][0]["text"] == ""
    assert told["choices"][0]["finish_reason"] == wanted.finish_reason
    assert told["usage"]["completion_tokens"] == wanted.completion_tokens
    streamed = client.post("/v1/completions", json={**body, "stream": True})
    assert streamed.status_code == 200
    *chunks, done = (line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line)
    assert done == "[DONE]"
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in choices) == ""
    assert choices[-1]["finish_reason"] == wanted.finish_reason


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_without_text_are_told_by_their_ids(
    client: httpx.Client, model: LoadedModel, ids: list[int], stream: bool
) -> None:
    wanted = model.generate(ids, max_tokens=8)
    body = {"prompt": ids, "max_tokens": 8, "logprobs": 1, "stream": stream}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200
    if stream:
        last = response.text.split("\n\n")[-3].removeprefix("data: ")
        told = json.loads(last)["choices"][0]
    else:
        told = response.json()["choices"][0]
    assert told["logprobs"]["tokens"] == [f"token_id:{token}" for token in wanted.token_ids]


@pytest.mark.parametrize("stream", [False, True])
def test_no_text_ends_an_answer_that_has_none(client: httpx.Client, ids: list[int], stream: bool) -> None:
    response = client.post("/v1/completions", json={"prompt": ids, "stop": "a", "stream": stream})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "stop"


def test_the_library_tells_how_probable_ids_were_and_takes_no_stop(
    model: LoadedModel, ids: list[int]
) -> None:
    asked = GenerationRequest(prompt=ids, parameters={"max_tokens": 8}, logprobs=1)
    [result] = model.generate_batch([asked])
    assert result.confidence is not None
    assert len(result.confidence) == result.completion_tokens
    with pytest.raises(ParameterError, match=r"no tokenizer.*; leave stop out"):
        model.generate_batch([GenerationRequest(prompt=ids, stop=("a",))])
