"""The OpenAPI document: what it says of answers is what the server gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.apps import Client, model_server, scripted_server

pytestmark = pytest.mark.alone

DECODING = ["/v1/chat/completions", "/v1/completions", "/v1/infill"]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with scripted_server(max_num_seqs=2, max_queue=2) as running, running.client() as client:
        yield client


@pytest.fixture(scope="module")
def operations(client: Client) -> dict[str, dict[str, Any]]:
    """What each path does, by ``METHOD /path``."""
    paths = client.get("/openapi.json").json()["paths"]
    return {f"{way.upper()} {path}": told for path, ways in paths.items() for way, told in ways.items()}


def kinds(operation: dict[str, Any], status: str = "200") -> set[str]:
    return set(operation["responses"][status]["content"])


def test_every_error_is_described_in_our_shape(operations: dict[str, dict[str, Any]]) -> None:
    ours = {"$ref": "#/components/schemas/Problem"}
    for name, operation in operations.items():
        told = operation["responses"]
        assert {"200", "408", "413", "429", "500", "503"} <= set(told), name
        assert ("401" in told) is (operation.get("security") != []), name
        assert "422" not in told, name
        states = {"503"} if name in ("GET /health", "GET /ready") else set()  # a body of their own
        for status in set(told) - {"200"} - states:
            assert told[status]["content"]["application/json"]["schema"] == ours, (name, status)


def test_whoever_asks_the_model_may_be_late(operations: dict[str, dict[str, Any]]) -> None:
    late = {name for name, operation in operations.items() if "504" in operation["responses"]}
    assert late == {f"POST {path}" for path in (*DECODING, "/v1/score")}


def test_answers_may_be_objects_or_events_where_text_is_decoded(operations: dict[str, Any]) -> None:
    both = {"application/json", "text/event-stream"}
    assert [path for path in DECODING if kinds(operations[f"POST {path}"]) != both] == []
    assert kinds(operations["GET /metrics"]) == {"text/plain"}


def test_every_json_answer_has_a_schema(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        for status, told in operation["responses"].items():
            for kind, content in told.get("content", {}).items():
                assert content.get("schema"), (name, status, kind)


def test_every_request_has_examples_which_are_answered(operations: dict[str, Any]) -> None:
    with model_server() as running, running.client() as client:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        posts = {name: each for name, each in operations.items() if name.startswith("POST ")}
        assert len(posts) == 6
        for name, operation in posts.items():
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            examples = schemas[reference.rpartition("/")[2]]["examples"]
            assert examples, name
            for body in examples:
                answered = client.post(name.removeprefix("POST "), json=body, timeout=30)
                assert answered.status_code == 200, (name, body, answered.text)


def test_the_key_is_in_the_document(client: Client, operations: dict[str, Any]) -> None:
    document = client.get("/openapi.json").json()
    assert document["security"] == [{}, {"key": []}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    open_ones = {name for name, each in operations.items() if each.get("security") == []}
    assert open_ones == {"GET /health", "GET /ready"}


def test_more_answers_than_are_ever_taken_are_no_reason_to_wait(client: Client) -> None:
    taken = client.post("/v1/completions", json={"prompt": ["ab", "cd"], "n": 2})
    assert taken.status_code == 200
    refused = client.post("/v1/completions", json={"prompt": ["ab", "cd", "ef"], "n": 2})
    assert refused.status_code == 400
    assert refused.json()["error"] == {
        "message": "the request asks for 6 answers, and this server takes 4 at a time; give fewer "
        "prompts, or a smaller n",
        "type": "invalid_request_error",
        "param": "n",
        "code": "too_many_answers",
    }


@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        ("/detokenize", "tokens", {"tokens": [2**70]}),
        ("/v1/completions", "prompt", {"prompt": [2**70], "echo": True}),
    ],
)
def test_ids_of_no_tokenizer_are_the_client_s_mistake(
    client: Client, path: str, field: str, body: dict[str, Any]
) -> None:
    refused = client.post(path, json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == field
    assert str(2**70) not in refused.text


def test_an_empty_candidate_is_named(client: Client) -> None:
    refused = client.post("/v1/score", json={"template": "a {{2}} b", "candidates": ["x", ""]})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "candidates[1]"
