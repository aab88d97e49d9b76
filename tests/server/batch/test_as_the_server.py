"""What a line is answered is what the server answers to its body, whatever that is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llada_server.batch.answering import Answering
from llada_server.batch.lines import Line
from tests.server.apps import Running, model_server
from tests.server.batch.files import line

SUM = [{"role": "user", "content": "What is 12 + 30?"}]
CHAT, TEXT, INFILL, SCORE = "/v1/chat/completions", "/v1/completions", "/v1/infill", "/v1/score"
BODIES: list[tuple[str, Any]] = [
    (CHAT, {"messages": SUM, "max_tokens": 32}),
    (CHAT, {"messages": SUM, "n": 3, "temperature": 1.5, "seed": 4, "max_tokens": 32}),
    (CHAT, {"messages": SUM, "logprobs": True, "top_logprobs": 2, "max_tokens": 16, "stop": "."}),
    (CHAT, {"messages": SUM, "algorithm": "basic", "steps": 8, "max_tokens": 16}),
    (TEXT, {"prompt": ["What is 12 + 30?", "1 + 1 ="], "echo": True, "logprobs": 0, "max_tokens": 8, "n": 2}),
    (TEXT, {"prompt": "12 + 30 = ", "suffix": ". The answer is 42.", "max_tokens": 2}),
    (INFILL, {"prompt": "What is 12 + 30?", "template": "12 + {{2}} = 42."}),
    (SCORE, {"prompt": "What is 12 + 30?", "template": "12 + 30 = {{1}}.", "candidates": ["42", "41"]}),
    (CHAT, {"messages": []}),
    (CHAT, {"messages": SUM, "tools": [{"type": "function"}]}),
    (CHAT, {"messages": SUM, "threshold": 9}),
    (CHAT, {"messages": SUM, "treshold": 0.9}),
    (CHAT, {"messages": SUM, "algorithm": "none such"}),
    (CHAT, {"messages": SUM, "max_tokens": 10**6}),
    (CHAT, {"messages": SUM, "model": "another"}),
    (CHAT, {"messages": [{"role": "user", "content": 3}]}),
    (CHAT, {"messages": [{"role": "user", "content": "a\ud800"}]}),
    (TEXT, {"prompt": []}),
    (TEXT, {"prompt": [10**9]}),
    (TEXT, {"prompt": "a", "n": 1000}),
    (INFILL, {"template": "{{no number}}"}),
    (SCORE, {"template": "{{1}}", "candidates": []}),
    (SCORE, {"template": "{{1}}{{1}}", "candidates": ["a"]}),
    *((path, body) for path in (CHAT, SCORE) for body in (None, [], "text", {})),
]
OWN = {"id", "created", "queue_ms", "generate_ms"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with model_server(device="cpu", dtype="float32") as running:
        yield running


def alike(told: Any) -> Any:
    """What is said, without what each request has for itself."""
    if isinstance(told, dict):
        return {name: alike(value) for name, value in told.items() if name not in OWN}
    return [alike(each) for each in told] if isinstance(told, list) else told


def test_a_line_is_answered_as_its_body_is(server: Running, client: httpx.Client) -> None:
    texts = [line(str(number), *each) for number, each in enumerate(BODIES)]
    lines = [Line(number, text.encode()) for number, text in enumerate(texts, 1)]
    found = {
        told["custom_id"]: told for told in map(json.loads, (e.text for e in Answering(server.served, lines)))
    }
    for number, (path, body) in enumerate(BODIES):
        asked = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        response = found[str(number)]["response"]
        assert response["status_code"] == asked.status_code, (path, body)
        assert alike(response["body"]) == alike(asked.json()), (path, body)


def test_figures_are_those_of_the_answers(server: Running) -> None:
    (one,) = Answering(server.served, [Line(1, line("a", CHAT, {"messages": SUM, "n": 2}).encode())])
    body = json.loads(one.text)["response"]["body"]
    assert (one.tokens, one.nfe) == (body["usage"]["completion_tokens"], body["generation"]["nfe"])
    assert not one.failed
    assert one.tokens > one.nfe > 0
