"""``top_p``, ``top_k`` and ``min_p`` over HTTP: parameters of the algorithm, as any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_core import Answer, GenerationAlgorithm, LoadedModel, load_model, register_algorithm, standard
from tests.server.apps import model_server

STORY = [{"role": "user", "content": "Tom has 3 apples and buys 4 more. How many has he?"}]
HOT = {"temperature": 2.5, "seed": 3, "max_tokens": 16}
FILTERED = {"top_p": 0.6, "top_k": 20, "min_p": 0.05}


class Unfiltered(GenerationAlgorithm):
    """It answers in one call, and takes a length alone."""

    name, engine = "unfiltered", "fast-dllm"
    parameters = (standard("gen_length"),)

    def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
        raise NotImplementedError("its answers are its own")

    def answers(self, model: Any, prompts: Any, params: Any) -> list[Answer]:
        return [Answer(token_ids=(7,), nfe=1) for _ in prompts]

    def load_model_class(self) -> Any:
        raise NotImplementedError("the engine loads")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    undo = register_algorithm(Unfiltered)
    try:
        with model_server(engine="fast-dllm") as running, running.client() as client:
            yield client
    finally:
        undo()


@pytest.fixture(scope="module")
def alone() -> LoadedModel:
    """The model, without a server."""
    return load_model(engine="fast-dllm")


def chat(client: httpx.Client, **given: Any) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"messages": STORY, **HOT, **given})


def text(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    written: str = response.json()["choices"][0]["message"]["content"]
    return written


@pytest.mark.parametrize("algorithm", ["basic", "dual_cache", "dinfer_credit"])
def test_they_reach_the_algorithm_and_are_told(
    client: httpx.Client, alone: LoadedModel, algorithm: str
) -> None:
    response = chat(client, algorithm=algorithm, **FILTERED)
    told = response.json()["generation"]["parameters"]
    assert {name: told[name] for name in FILTERED} == FILTERED
    assert text(response) == alone.generate(STORY, algorithm=algorithm, **HOT, **FILTERED).text
    assert text(response) != text(chat(client, algorithm=algorithm))


def test_they_hold_for_completions_and_blanks_too(client: httpx.Client) -> None:
    for path, asked in (
        ("/v1/completions", {"prompt": "Tom has 3 apples and", **HOT}),
        ("/v1/infill", {"template": "Tom has {{6}} apples.", "temperature": 2.5, "seed": 3}),
    ):
        greedy, narrow, plain = (
            client.post(path, json={**asked, **given}).json()["choices"][0]["text"]
            for given in ({"temperature": 0}, {"top_k": 1}, {})
        )
        assert narrow == greedy != plain


@pytest.mark.parametrize(
    "neutral", [{"top_p": 1}, {"top_k": 0}, {"top_k": -1}, {"min_p": 0}, {"top_p": None}]
)
def test_at_a_neutral_value_they_pass_also_where_nothing_is_drawn(
    client: httpx.Client, neutral: dict[str, Any]
) -> None:
    assert text(chat(client, algorithm="dual_cache", **neutral)) == text(chat(client, algorithm="dual_cache"))
    asked = {"messages": STORY, "algorithm": "unfiltered", "max_tokens": 4, **neutral}
    response = client.post("/v1/chat/completions", json=asked)
    assert response.status_code == 200
    assert response.json()["generation"]["parameters"] == {"gen_length": 4}


@pytest.mark.parametrize(("name", "value"), FILTERED.items())
def test_an_algorithm_that_takes_none_refuses_them_by_name(
    client: httpx.Client, name: str, value: float
) -> None:
    asked = {"messages": STORY, "algorithm": "unfiltered", "max_tokens": 4, name: value}
    error = client.post("/v1/chat/completions", json=asked).json()["error"]
    assert error["param"] == name
    assert f"unfiltered does not take {name}={value}; leave it out, or give {name}=none" in error["message"]


@pytest.mark.parametrize(
    ("name", "value", "range_"),
    [
        ("top_p", 0, "a number above 0 to 1, or none"),
        ("top_p", 1.5, "a number above 0 to 1, or none"),
        ("top_k", -2, "an integer, -1 or more, or none"),
        ("top_k", "many", "an integer, -1 or more, or none"),
        ("min_p", 1.5, "a number from 0 to 1, or none"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(
    client: httpx.Client, name: str, value: Any, range_: str
) -> None:
    response = chat(client, **{name: value})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["type"]) == (name, "invalid_request_error")
    assert error["message"].endswith(f"give {range_}")


def test_the_listing_has_them_for_every_algorithm_that_draws(client: httpx.Client) -> None:
    listed = client.get("/generation/algorithms").json()["data"]
    running = {each["name"]: {one["name"] for one in each["parameters"]} for each in listed if each["runs"]}
    drawing = {name for name, takes in running.items() if "temperature" in takes}
    assert drawing == running.keys() - {"unfiltered", "freedave"}  # whose drafts are the likeliest tokens
    assert all(FILTERED.keys() <= running[name] for name in drawing)
