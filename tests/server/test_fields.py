"""Fields of requests: which are taken, and how one is named that is not; on scripted rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_server.http.wire.neutral import NEUTRAL
from tests.server.apps import scripted_server
from tests.server.test_http import chat, complete, error


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with scripted_server() as running, running.client() as client:
        yield client


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"n": 0}, "n"),
        ({"prompt": [1, True]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"n": 1.5}, "n"),
        ({"seed": "x"}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": [3]}, "stop"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": 3}, "stream_options"),
        ({"stream": True, "stream_options": {"denoise": "perhaps"}}, "stream_options.denoise"),
        ({"stream": True, "stream_options": {"colour": True}}, "stream_options.colour"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"algorithm": "a", "generation_algorithm": "b"}, "algorithm"),
        ({"prompt": [1, 2], "suffix": "x"}, "suffix"),
        ({"suffix": "x", "stop": "."}, "stop"),
        ({"seed": True}, "seed"),
        ({"seed": "3"}, "seed"),
        ({"n": "2"}, "n"),
        ({"n": True}, "n"),
        ({"n": 2.0}, "n"),
        ({"n": 129}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"echo": 1}, "echo"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": ["."] * 65}, "stop"),
        ({"stop": "." * 4097}, "stop"),
        ({"prompt": [0x110000], "echo": True}, "prompt"),
    ],
)
def test_a_field_that_cannot_be_is_named(client: httpx.Client, body: dict[str, Any], param: str) -> None:
    response = complete(client, **body)
    assert response.status_code == 400
    told = error(response)
    assert told["param"] == param
    assert told["code"] == ("invalid_prompt" if "echo" in body and "prompt" in body else "invalid_field")
    assert re.search(rf"\b{re.escape(param)}\b.*; ", told["message"])
    assert "nput" not in told["message"]  # as pydantic calls a field


@pytest.mark.parametrize("field", [name for name, neutral in NEUTRAL.items() if neutral.values is not None])
def test_a_field_that_would_change_the_answer_is_refused(client: httpx.Client, field: str) -> None:
    response = chat(client, **{field: {"something": "else"}})
    assert response.status_code == 400
    told = error(response)
    assert (told["param"], told["code"]) == (field, "unsupported_field")
    assert field in told["message"]


@pytest.mark.parametrize("field", NEUTRAL)
def test_a_field_that_changes_nothing_passes(client: httpx.Client, field: str) -> None:
    for value in NEUTRAL[field].values or ({"any": "thing"}, "x", 3):
        assert chat(client, **{field: value}).status_code == 200


def test_no_likeliest_tokens_may_be_asked_for_without_logprobs(client: httpx.Client) -> None:
    assert chat(client, top_logprobs=0).status_code == 200
    assert chat(client, top_logprobs=0, logprobs=False).status_code == 200
    assert error(chat(client, logprobs=1))["param"] == "logprobs"
    assert error(chat(client, logprobs=True, top_logprobs=True))["param"] == "top_logprobs"


def test_true_is_not_one(client: httpx.Client) -> None:
    assert complete(client, best_of=True).status_code == 400


@pytest.mark.parametrize(
    "content",
    [
        *(None, 3, [], {"text": "x"}),
        *([{"type": "image_url", "image_url": {"url": "x"}}], [{"type": "text"}], [{"type": ["text"]}]),
        *(["text"], [None], [[]], [{"type": "text", "text": 3}]),
    ],
)
def test_content_that_is_no_text_is_refused(client: httpx.Client, content: Any) -> None:
    response = chat(client, messages=[{"role": "user", "content": content}])
    assert response.status_code == (200 if content == [] else 400)
    if content != []:
        assert error(response)["param"] == "messages[0].content"


def test_parts_of_text_are_one_text(client: httpx.Client) -> None:
    parts = [{"type": "text", "text": "ab"}, {"type": "text", "text": "c"}]
    response = chat(client, messages=[{"role": "user", "content": parts}])
    assert response.json()["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"{nonsense", "application/json", "the body is no JSON (Expecting property name"),
        (b'{"prompt": "a"', "application/json", "the body is no JSON (Expecting ',' delimiter"),
        (b"", "application/json", "the body is no JSON object"),
        (b"[1]", "application/json", "the body is no JSON object"),
        (b'"text"', "application/json", "the body is no JSON object"),
        (b"null", "application/json", "the body is no JSON object"),
        (b'{"prompt": "a"}', "text/plain", "send one, with Content-Type: application/json"),
        (b'{"prompt": "\xff"}', "application/json", "the body is no JSON"),
        (b"[" * 100_000, "application/json", "the body is no JSON"),
        (b'{"seed": ' + b"1" * 10_000 + b"}", "application/json", "the body is no JSON"),
    ],
)
def test_a_body_that_is_no_json_is_an_error(
    client: httpx.Client, content: bytes, kind: str, said: str
) -> None:
    response = client.post("/v1/completions", content=content, headers={"Content-Type": kind})
    assert response.status_code == 400
    told = error(response)
    assert (told["param"], told["code"]) == (None, "invalid_json")
    assert said in told["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {}, "messages"),
        ("/v1/chat/completions", {"messages": []}, "messages"),
        ("/v1/chat/completions", {"messages": "Hello"}, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, "messages[0].content"),
        ("/v1/chat/completions", {"messages": [{"content": "a"}]}, "messages[0].role"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "a", "tool_calls": [{"id": "1"}]}]},
            "messages[0].tool_calls",
        ),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "a"}], "top_logprobs": 3},
            "top_logprobs",
        ),
        ("/v1/infill", {"template": "{{2}}", "stop": "."}, "stop"),
        ("/v1/infill", {"template": "{{2}}", "prompt": "a", "messages": []}, "prompt"),
        ("/v1/infill", {"template": 3}, "template"),
        ("/v1/infill", {"template": ["a", {"max_tokens": 0}]}, "template"),
        ("/v1/score", {"template": "{{2}}"}, "candidates"),
        ("/v1/score", {"template": "{{2}}", "candidates": ["a", ""]}, "candidates[1]"),
        ("/v1/score", {"template": "{{2}} {{2}}", "candidates": ["a"]}, "template"),
        ("/v1/score", {"template": "{{2}}", "candidates": ["a"], "threshold": 0.5}, "threshold"),
        ("/tokenize", {}, "prompt"),
        ("/detokenize", {"tokens": [1, -1]}, "tokens[1]"),
        ("/detokenize", {"tokens": "a"}, "tokens"),
        ("/detokenize", {"tokens": ["1"]}, "tokens[0]"),
        ("/detokenize", {"tokens": [True]}, "tokens[0]"),
        ("/detokenize", {"tokens": [97, 0x110000]}, "tokens"),
        ("/tokenize", {"prompt": "a", "colour": 1}, "colour"),
    ],
)
def test_a_field_inside_others_is_named_by_its_path(
    client: httpx.Client, path: str, body: dict[str, Any], param: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 400
    told = error(response)
    assert told["param"] == param
    assert "; " in told["message"] or told["message"].startswith("give ")


def test_null_is_as_good_as_left_out(client: httpx.Client) -> None:
    left_out = (
        "model",
        "n",
        "stop",
        "stream",
        "stream_options",
        "seed",
        "user",
        "echo",
        "suffix",
        "logprobs",
    )
    parameters = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "algorithm")
    body = dict.fromkeys((*left_out, *parameters, "generation_algorithm", "tools", "logit_bias"))
    assert complete(client, **body).json()["choices"][0]["text"] == "abc"
    message = {"role": "assistant", "content": "abc", "refusal": None, "audio": None, "tool_calls": None}
    asked = {**body, "messages": [{**message, "name": None, "annotations": []}], "top_logprobs": None}
    del asked["echo"], asked["suffix"]
    assert client.post("/v1/chat/completions", json=asked).status_code == 200


def test_two_names_of_a_parameter_may_say_the_same(client: httpx.Client) -> None:
    assert complete(client, max_tokens=None, max_completion_tokens=8).status_code == 200
    assert complete(client, max_tokens=8, max_completion_tokens=8).status_code == 200


def test_a_request_for_another_model_names_the_one_that_is_served(client: httpx.Client) -> None:
    response = complete(client, model="gpt-4o")
    assert response.status_code == 404
    assert error(response)["code"] == "model_not_found"
    assert "scripted" in error(response)["message"]


def test_a_parameter_that_is_refused_is_named(client: httpx.Client) -> None:
    response = complete(client, prompt="")
    assert response.status_code == 400
    assert error(response)["param"] == "threshold"
