"""Traces: what OpenTelemetry's library is told of a request; the provider is a fake that keeps the spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from llada_core.generation.results import GenerationRequest
from llada_server.scheduler.events import Changed
from llada_server.tracing import AnswerTrace
from tests.server.apps import Client, Running, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until

pytest.importorskip("opentelemetry.trace", reason="opentelemetry-api is not installed")
from opentelemetry import trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Kept(trace.NonRecordingSpan):
    """A span that remembers, and says that it records."""

    def __init__(self, name: str, context: Any, given: Mapping[str, Any]) -> None:
        self.parent = trace.get_current_span(context).get_span_context()
        trace_id = self.parent.trace_id or 7
        super().__init__(trace.SpanContext(trace_id, id(self), False, trace.TraceFlags(1)))
        self.name, self.began, self.ended = name, given.get("start_time") or 0, 0
        self.told, self.failed = dict(given.get("attributes") or {}), False

    def is_recording(self) -> bool:
        return True

    def update_name(self, name: str) -> None:
        self.name = name

    def set_attribute(self, key: str, value: Any) -> None:
        self.told[key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.failed = status is trace.StatusCode.ERROR  # not a Status: that needs no words

    def end(self, end_time: int | None = None) -> None:
        self.ended = end_time or 1


class Keeping:
    """A tracer that keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[Kept] = []

    def start_span(self, name: str, context: Any = None, **given: Any) -> Kept:
        self.spans.append(Kept(name, context, given))
        return self.spans[-1]

    def children(self, parent: Kept) -> list[Kept]:
        return [each for each in self.spans if each.parent.span_id == parent.get_span_context().span_id]


class Provider(trace.TracerProvider):
    """What hands out the one tracer."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def get_tracer(self, *names: Any, **more: Any) -> Any:
        return self._tracer


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Keeping:
    tracer = Keeping()
    monkeypatch.setattr(trace, "get_tracer", lambda *names: tracer)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: Provider(tracer))  # the framework asks for it
    return tracer


@pytest.fixture
def server(tracer: Keeping) -> Iterator[Running]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with server.client() as client:
        yield client


def asked(tracer: Keeping) -> Kept:
    """The one request, once it is over."""
    until(lambda: bool(tracer.spans) and bool(tracer.spans[0].ended))
    (request,) = [each for each in tracer.spans if "http.request.method" in each.told]
    return request


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_a_span_with_its_queue_and_blocks(tracer: Keeping, client: Client, stream: bool) -> None:
    client.post("/v1/completions", json={"prompt": "secret", "stream": stream})
    request = asked(tracer)
    assert request.name == "POST /v1/completions"
    assert request.told["http.response.status_code"] == 200
    assert request.told["llada.algorithm"] == "scripted"
    queue, block = tracer.children(request)
    assert (queue.name, block.name) == ("queue", "block 0")
    assert block.told == {"llada.answer": 0, "llada.block": 0, "llada.forwards": 6, "llada.tokens": 6}
    assert queue.began <= queue.ended == block.began < block.ended
    assert "secret" not in str([vars(each) for each in tracer.spans])


def test_each_block_is_a_span_from_the_end_of_the_one_before(tracer: Keeping) -> None:
    request = tracer.start_span("POST")
    session, answer = ScriptedSession(), AnswerTrace(request, 0)
    session.submit(GenerationRequest(prompt="abcdef"))
    for block in (0, 0, 0, 1, 2, 2):
        for step in session.step():
            answer.see(Changed(step=replace(step, block=block), text=""))
    answer.emit()
    answer.emit()
    queue, *blocks = tracer.children(request)
    assert [each.name for each in blocks] == ["block 0", "block 1", "block 2"]
    assert [each.told["llada.forwards"] for each in blocks] == [3, 1, 2]
    assert [each.told["llada.tokens"] for each in blocks] == [3, 1, 2]
    assert [each.began for each in blocks] == [each.ended for each in (queue, *blocks[:-1])]


def test_the_caller_s_trace_goes_on(tracer: Keeping, client: Client) -> None:
    client.post("/v1/completions", json={"prompt": "ab"}, headers={"traceparent": PARENT})
    request = asked(tracer)
    assert f"{request.parent.trace_id:032x}" in PARENT
    assert f"{request.parent.span_id:016x}" in PARENT
    assert {each.get_span_context().trace_id for each in tracer.spans} == {request.parent.trace_id}


def test_each_answer_has_its_own_children(tracer: Keeping, client: Client) -> None:
    client.post("/v1/completions", json={"prompt": ["ab", "cde"]})
    children = tracer.children(asked(tracer))
    assert [(each.name, each.told["llada.answer"]) for each in children] == [
        ("queue", 0),
        ("block 0", 0),
        ("queue", 1),
        ("block 0", 1),
    ]


def test_a_failure_is_the_span_s_too(tracer: Keeping, client: Client) -> None:
    assert client.post("/v1/completions", json={"prompt": "a!"}).status_code == 500
    request = asked(tracer)
    assert request.failed
    assert [each.name for each in tracer.children(request)] == ["queue", "block 0"]


def test_a_stream_that_fails_midway_is_a_failure_though_its_status_was_200(
    tracer: Keeping, client: Client
) -> None:
    assert client.post("/v1/completions", json={"prompt": "ab!", "stream": True}).status_code == 200
    request = asked(tracer)
    assert request.told["http.response.status_code"] == 200
    assert (request.failed, request.told["error.type"]) == (True, "generation_failed")
    assert [each.name for each in tracer.children(request)] == ["queue", "block 0"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_is_a_failure(tracer: Keeping, stream: bool) -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session, request_timeout=0.3) as running, running.client() as client:
        told = client.post("/v1/completions", json={"prompt": "abc", "stream": stream})
        assert told.status_code == (200 if stream else 504)
        request = asked(tracer)
        assert request.failed
        assert request.told.get("error.type") == ("timeout" if stream else None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_left_is_told_and_is_no_failure(tracer: Keeping, stream: bool) -> None:
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session) as running, running.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json={"prompt": "abc", "stream": stream}, timeout=0.3)
        request = asked(tracer)
        assert (request.failed, request.told["llada.client_left"]) == (False, True)
        assert request.told["http.response.status_code"] == (200 if stream else 499)


def test_a_request_that_is_refused_did_nothing(tracer: Keeping, client: Client) -> None:
    client.post("/v1/completions", json={"prompt": "ab", "n": 0})
    request = asked(tracer)
    assert (request.told["http.response.status_code"], request.failed) == (400, False)
    assert tracer.children(request) == []


def test_what_does_not_exist_makes_no_names(tracer: Keeping, client: Client) -> None:
    client.get("/some/path/123")
    assert asked(tracer).name == "GET"


def test_what_machines_ask_all_the_time_is_not_traced(tracer: Keeping, client: Client) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert client.get(path).status_code == 200
    assert tracer.spans == []


def test_the_queue_of_one_who_left_while_waiting_is_told(tracer: Keeping) -> None:
    gate = threading.Semaphore(0)
    session = ScriptedSession(gate=gate)
    with scripted_server(session, request_timeout=0.2) as running, running.client() as client:
        assert client.post("/v1/completions", json={"prompt": "abc"}).status_code == 504
        request = asked(tracer)
        (queue,) = tracer.children(request)
        assert queue.name == "queue"
        assert queue.ended - queue.began >= 0.1e9
