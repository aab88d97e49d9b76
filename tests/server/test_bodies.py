"""Large and odd bodies: what is refused, where it is read, and that nobody else waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_server.http import parsing, problems
from llada_server.http.parsing import MOST_FIELDS, MOST_VALUES
from tests.server.apps import scripted_server

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGE = {"role": "user", "content": "ab"}
HALF = "\ud800"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with scripted_server() as running, running.client() as client:
        yield client


def many(value: str, count: int) -> str:
    return f"[{','.join([value] * count)}]"


def post(client: httpx.Client, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """The status and the error."""
    text = body if isinstance(body, str) else json.dumps(body)  # which escapes halves of characters
    told = client.post(path, content=text, headers=JSON)
    return told.status_code, told.json().get("error", {})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, f'{{"messages": {many("{}", 1_000_000)}}}'),
        (CHAT, f'{{"messages": {many("[]", 1_000_000)}}}'),
        ("/detokenize", f'{{"tokens": {many("1", 1_900_000)}}}'),
        ("/detokenize", f'{{"tokens": {many(chr(34) * 2, MOST_VALUES * 3)}}}'),
        (CHAT, json.dumps({"messages": [{str(key): 1 for key in range(MOST_FIELDS + 1)}]})),
    ],
    ids=["objects", "lists", "ids", "texts", "fields"],
)
def test_a_body_of_too_many_values_is_refused_unread(client: httpx.Client, path: str, body: str) -> None:
    began = time.monotonic()
    status, error = post(client, path, body)
    assert (status, error["code"]) == (413, "request_too_large")
    assert f"{MOST_VALUES} values or {MOST_FIELDS} fields" in error["message"]
    assert time.monotonic() - began < 5  # to validate them takes a minute


@pytest.mark.parametrize("text", ["[{,:" * 200_000, '"' * 600_000, '\\",' * 400_000, "\\\\" * 300_000])
def test_marks_in_texts_are_no_values(text: str) -> None:
    assert not parsing._many(json.dumps({"prompt": text, "a": [1, 2]}))
    assert parsing._many(json.dumps({"prompt": text, "a": [0] * (MOST_VALUES + 1)}))


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": [{}] * 10_000}, "messages[0].role"),
        (CHAT, {"messages": [MESSAGE] * 1025}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 1025}]}, None),
        (CHAT, {"messages": [{**MESSAGE, **{str(key): 1 for key in range(300)}}]}, "messages[0]"),
        (CHAT, {"messages": [MESSAGE], **{f"k{key}": 1 for key in range(300)}}, ""),
        ("/detokenize", {"tokens": ["a"] * 20_000}, "tokens[0]"),
        ("/detokenize", {"tokens": [1] * 20_000 + ["a"]}, "tokens[20000]"),
        ("/v1/infill", {"template": "a {{1}}" * 5000}, "template"),
        ("/v1/infill", {"template": ["a", {"max_tokens": 1}] * 2500}, "template"),
        ("/v1/score", {"template": "{{1}}", "candidates": [""] * 900}, "candidates[0]"),
    ],
)
def test_lists_and_objects_are_bounded_and_the_first_fault_is_told(
    client: httpx.Client, path: str, body: Any, param: str | None
) -> None:
    status, error = post(client, path, body)
    assert status == 400
    assert error["param"] == {None: "messages[0].content", "": None}.get(param, param)
    assert "; " in error["message"]


def test_one_fault_of_many_is_all_that_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []

    def counted(errors: Any) -> Any:
        collected.append(len(errors))
        return made(errors)

    made = problems.validation_problem
    monkeypatch.setattr(parsing, "validation_problem", counted)
    with scripted_server() as running, running.client() as client:
        for path, body in (
            (CHAT, {"messages": [{"content": "without a role"}] * 1000}),
            (CHAT, {"messages": [{"role": 1, "content": [{"type": "text", "text": 1}] * 9000}]}),
            ("/detokenize", {"tokens": ["a"] * 20_000}),
            ("/v1/score", {"template": "{{1}}", "candidates": [""] * 900 + ["a" * 20_000]}),
        ):
            assert post(client, path, body)[0] == 400
    assert len(collected) == 4
    assert max(collected) < 5


@pytest.mark.parametrize(("count", "beside"), [(1, False), (1000, True)])
def test_a_large_body_is_read_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, count: int, beside: bool
) -> None:
    threads: set[str] = set()

    def watched(body: bytes) -> Any:
        threads.add(threading.current_thread().name)
        return read(body)

    read = parsing._value
    monkeypatch.setattr(parsing, "_value", watched)
    with scripted_server() as running, running.client() as client:
        assert post(client, CHAT, {"messages": [MESSAGE] * count})[0] == 200
    assert ("http" not in threads) is beside  # as the tests call the event loop's thread


def test_a_large_body_is_the_request_that_a_small_one_is(client: httpx.Client) -> None:
    body = {"prompt": "ab", "stop": "c", "metadata": {"a": "x" * 20_000}, "threshold": 0.5, "n": 2}
    small = {**body, "metadata": None}
    answers = [client.post(COMPLETIONS, json=each).json() for each in (body, small)]
    assert answers[0]["choices"] == answers[1]["choices"]
    assert len(answers[0]["choices"]) == 2


@pytest.mark.parametrize("filler", ["", "x" * 20_000])
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "a" + HALF}]}, "messages[0].content"),
        (CHAT, {"messages": [{"role": HALF, "content": "a"}]}, "messages[0].role"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]},
            "messages[0].content[0].text",
        ),
        (CHAT, {"messages": [{**MESSAGE, HALF: 1}]}, r"messages[0].\ud800"),
        (CHAT, {"messages": [MESSAGE], HALF: 1}, r"\ud800"),
        (CHAT, {"messages": [MESSAGE], "stop": HALF}, "stop"),
        (CHAT, {"messages": [MESSAGE], "stop": ["a", HALF]}, "stop[1]"),
        (CHAT, {"messages": [MESSAGE], "user": HALF}, "user"),
        (CHAT, {"messages": [MESSAGE], "metadata": {"a": {"b": HALF}}}, "metadata.a.b"),
        (CHAT, {"messages": [MESSAGE], "threshold": HALF}, "threshold"),
        (COMPLETIONS, {"prompt": ["a", HALF]}, "prompt[1]"),
        ("/v1/infill", {"template": HALF + "{{1}}"}, "template"),
        ("/v1/score", {"template": "{{1}}", "candidates": ["a", HALF]}, "candidates[1]"),
        ("/tokenize", {"prompt": HALF}, "prompt"),
    ],
)
def test_half_a_character_is_refused_by_its_place(
    client: httpx.Client, path: str, body: dict[str, Any], param: str, filler: str
) -> None:
    status, error = post(client, path, {**body, "metadata": {**body.get("metadata", {}), "filler": filler}})
    assert (status, error["code"], error["param"]) == (400, "invalid_field", param)
    assert error["message"] == f"{param} holds half a character, a lone surrogate; give whole ones"


def test_whole_characters_may_be_escaped(client: httpx.Client) -> None:
    told = client.post("/tokenize", content=json.dumps({"prompt": "\U0001f600"}), headers=JSON)
    assert told.json()["tokens"] == [0x1F600]


@pytest.mark.parametrize("body", [b'{"prompt": "\xed\xa0\x80"}', b'{"prompt": "\xff"}', b"[" * 30_000])
def test_bytes_of_no_text_and_deep_nesting_are_no_json(client: httpx.Client, body: bytes) -> None:
    told = client.post(COMPLETIONS, content=body, headers=JSON)
    assert (told.status_code, told.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({**MESSAGE, "foo-bar": 1}, "messages[0].foo-bar"),
        ({**MESSAGE, "Upper": 1}, "messages[0].Upper"),
        ({**MESSAGE, "": 1}, "messages[0]."),
        ({"role": "user", "content": [{"type": "text", "text": "a", "cache": 1}]}, "messages[0].content"),
    ],
)
def test_a_wrong_key_is_named_whatever_it_looks_like(client: httpx.Client, message: Any, param: str) -> None:
    status, error = post(client, CHAT, {"messages": [message]})
    assert (status, error["param"]) == (400, param)
    assert "leave" in error["message"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tool_call_id", "call-1"),
        ("tool_calls", [{"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
        ("function_call", {"name": "f", "arguments": "{}"}),
    ],
)
def test_a_message_of_tools_is_refused_with_the_reason(client: httpx.Client, key: str, value: Any) -> None:
    status, error = post(client, CHAT, {"messages": [MESSAGE, {"role": "tool", "content": "42", key: value}]})
    assert (status, error["code"], error["param"]) == (400, "unsupported_field", f"messages[1].{key}")
    assert "tools are not called by this server; tell what one said" in error["message"]
    empty = {"role": "tool", "content": "42", key: type(value)()}
    assert post(client, CHAT, {"messages": [MESSAGE, empty]})[0] == 200
