"""What exceeds the model's room is refused before it is made, with the field and what would fit."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import httpx
import pytest

from llada_core import registry
from llada_server.http.served import Served
from tests.server.apps import model_server, scripted_server

SUM = "What is 12 + 30?"
CHAT, TEXT, INFILL, SCORE = "/v1/chat/completions", "/v1/completions", "/v1/infill", "/v1/score"


def asking(path: str, text: str = SUM) -> dict[str, Any]:
    """The least that asks for ``text`` to be answered."""
    message = {"role": "user", "content": text}
    return {"messages": [message]} if path == CHAT else {"prompt": text}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with model_server(max_model_len=64) as running, running.client() as client:
        yield client


def refusal(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 400
    told: dict[str, Any] = response.json()["error"]
    assert "; " in told["message"]
    return told


@pytest.mark.parametrize("length", [65, 10**8, 10**9, 10**20, 10**30])
@pytest.mark.parametrize("listed", [False, True])
def test_a_blank_of_any_size_is_refused(http: httpx.Client, length: int, listed: bool) -> None:
    template: Any = ["a ", {"max_tokens": length}] if listed else f"a {{{{{length}}}}}"
    began = time.perf_counter()
    told = refusal(http.post(INFILL, json={"template": template}))
    assert told["param"] == "template"
    assert time.perf_counter() - began < 1
    assert refusal(http.post(SCORE, json={"template": "a", "candidates": ["b"]}))["param"] == "template"


@pytest.mark.parametrize("length", [65, 10**9, 10**20, 0, -1, "x", 1.5, True])
@pytest.mark.parametrize("field", ["max_tokens", "gen_length"])
def test_a_gap_of_any_size_is_refused_as_its_field(http: httpx.Client, length: Any, field: str) -> None:
    asked = {"prompt": "Tom has ", "suffix": " apples.", field: length}
    assert refusal(http.post(TEXT, json=asked))["param"] == field


def test_a_float_that_is_huge_is_no_length(http: httpx.Client) -> None:
    for path in (CHAT, TEXT):
        content = '{"max_tokens": 1e20, "messages": [{"role": "user", "content": "a"}]}'
        if path == TEXT:
            content = '{"max_tokens": 1e20, "prompt": "a", "suffix": "b"}'
        response = http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert refusal(response)["param"] == "max_tokens"


@pytest.mark.parametrize("path", [CHAT, TEXT])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_a_length_has_what_fits(http: httpx.Client, path: str, stream: bool) -> None:
    told = http.post(path, json=asking(path)).json()
    length = told["generation"]["parameters"]["gen_length"]
    assert length + told["usage"]["prompt_tokens"] == 64
    assert http.post(path, json={**asking(path), "stream": stream}).status_code == 200
    null = http.post(path, json={**asking(path), "max_tokens": None}).json()
    assert null["generation"]["parameters"]["gen_length"] == length
    assert http.post(path, json={**asking(path), "max_tokens": 4}).json()["usage"]["completion_tokens"] <= 4


def test_a_default_of_the_server_gives_way_to_what_fits_too() -> None:
    defaults = {"max_tokens": 100, "threshold": 0.8}
    with model_server(max_model_len=64, parameters=defaults) as running, running.client() as client:
        told = client.post(CHAT, json=asking(CHAT)).json()
        used = told["generation"]["parameters"]
        assert used["gen_length"] == 64 - told["usage"]["prompt_tokens"]
        assert used["threshold"] == 0.8
        told = client.post(CHAT, json={**asking(CHAT), "max_new_tokens": 8, "denoising_steps": 8}).json()
        used = told["generation"]["parameters"]
        assert (used["gen_length"], used["steps"], used["threshold"]) == (8, 8, None)
        filled = client.post(INFILL, json={"template": "12 + {{2}} = 42."})
        assert filled.status_code == 200


@pytest.mark.parametrize("path", [CHAT, TEXT])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "gen_length"])
def test_what_is_too_long_is_about_the_field_that_was_sent(http: httpx.Client, path: str, field: str) -> None:
    told = refusal(http.post(path, json={**asking(path), field: 64}))
    assert told["param"] == field
    most = int(re.findall(r"at most (\d+)", told["message"])[0])
    assert http.post(path, json={**asking(path), field: most}).status_code == 200


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_a_prompt_without_room_is_about_the_prompt(http: httpx.Client, path: str) -> None:
    for times in (20, 20_000):
        told = refusal(http.post(path, json=asking(path, SUM * times)))
        assert told["param"] == ("messages" if path == CHAT else "prompt")
        assert "shorten" in told["message"]


def test_blanks_that_are_too_long_are_told_what_would_fit(http: httpx.Client) -> None:
    told = refusal(http.post(INFILL, json={"prompt": SUM, "template": "12 + {{60}}."}))
    assert told["param"] == "template"
    most = int(re.findall(r"at most (\d+)", told["message"])[0])
    fits = http.post(INFILL, json={"prompt": SUM, "template": f"12 + {{{{{most}}}}}."})
    assert fits.status_code == 200
    gap = {"prompt": "Tom has ", "suffix": " apples."}
    told = refusal(http.post(TEXT, json={**gap, "max_tokens": 60}))
    most = int(re.findall(r"\(max_tokens\) of at most (\d+)", told["message"])[0])
    assert http.post(TEXT, json={**gap, "max_tokens": most}).status_code == 200


def test_a_candidate_that_is_too_long_is_told_as_one(http: httpx.Client) -> None:
    asked = {"prompt": SUM, "template": "{{1}}", "candidates": ["1", "2" * 100]}
    told = refusal(http.post(SCORE, json=asked))
    assert told["param"] == "candidates"
    assert "max_tokens" not in told["message"]


def test_too_many_answers_are_refused_before_one_is_made() -> None:
    with (
        scripted_server(max_num_seqs=4, max_queue=4) as running,
        running.client() as client,
        mock.patch.object(Served, "request", autospec=True) as made,
        mock.patch.object(Served, "text_of", autospec=True) as echoed,
    ):
        for body in ({"prompt": [[97]] * 20_000, "echo": True}, {"prompt": ["a"] * 5, "n": 2}):
            told = refusal(client.post(TEXT, json=body))
            assert told["code"] == "too_many_answers"
    assert not made.called
    assert not echoed.called


def test_algorithm_and_defaults_are_resolved_once_a_request() -> None:
    known = registry.get_algorithm_info
    with (
        scripted_server(max_num_seqs=64, max_queue=4) as running,
        running.client() as client,
        mock.patch.object(registry, "get_algorithm_info", side_effect=known) as asked,
    ):
        assert len(client.post(TEXT, json={"prompt": ["ab", "cd"], "n": 8}).json()["choices"]) == 16
        assert asked.call_count == 1


def test_a_neighbour_does_not_wait_for_a_prompt_that_is_far_too_long(http: httpx.Client) -> None:
    refused: list[str] = []

    def ask_too_much() -> None:
        for body in ({"template": "a " * 10**6 + "{{2}}"}, {"template": "a{{1}}" * 60_000}) * 3:
            refused.append(refusal(http.post(INFILL, json=body))["param"])
        refused.append(refusal(http.post(TEXT, json={"prompt": "a " * 10**6}))["param"])

    asking, waits = threading.Thread(target=ask_too_much), list[float]()
    asking.start()
    with httpx.Client(base_url=http.base_url, timeout=10) as neighbour:
        while asking.is_alive():
            began = time.perf_counter()
            assert neighbour.post(TEXT, json={"prompt": "a", "max_tokens": 1}).status_code == 200
            waits.append(time.perf_counter() - began)
    asking.join()
    assert refused == ["template"] * 6 + ["prompt"]
    assert len(waits) >= 3
    assert max(waits) < 1


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_a_parameter_of_the_reference_code_passes_where_it_asks_for_nothing(
    http: httpx.Client, path: str
) -> None:
    asked = {**asking(path), "max_tokens": 2}
    for nothing in (0, 0.0, None):
        assert http.post(path, json={**asked, "cfg_scale": nothing}).status_code == 200
    for something in (1.5, False, "0"):
        assert refusal(http.post(path, json={**asked, "cfg_scale": something}))["param"] == "cfg_scale"


@pytest.mark.parametrize("size", [0, -1, 2**31, 2**63, 2**64, 10**20, -(10**20), 10**400], ids=range(8))
def test_a_number_of_any_size_is_taken_or_refused(http: httpx.Client, size: int) -> None:
    for name in ("n", "seed", "logprobs", "top_logprobs", "steps", "block_length", "top_k", "max_tokens"):
        for body in (asking(CHAT), asking(TEXT), {**asking(TEXT), "suffix": "."}):
            path = CHAT if "messages" in body else TEXT
            response = http.post(path, json={**body, "max_tokens": 2, name: size})
            if response.status_code != 200:
                refusal(response)
    for path, body in (
        ("/detokenize", {"tokens": [size]}),
        (TEXT, {"prompt": [size], "max_tokens": 2}),
        (SCORE, {"template": f"a {{{{{size}}}}}", "candidates": ["b"]}),
    ):
        response = http.post(path, json=body)
        if response.status_code != 200:
            refusal(response)
