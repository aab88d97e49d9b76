"""What the ingress does of what replicas answer, refuse and leave undone."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from llada_server.http.application import fronted
from llada_server.http.leaving import Gone
from llada_server.ray.figures import Told
from llada_server.ray.ingress import Ingress
from llada_server.ray.replicas import Lost, NoReplica
from llada_server.scheduler.work import STOPPED, Closing, Full
from llada_server.settings import ServerSettings
from tests.server.ray.fakes import Scripted, start

HERE: list[Message] = []
LOST = Lost("the server failed while the request was in work; ask another one, or later")
KIND = "text/event-stream; charset=utf-8"


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what came."""
    message = await receive()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "body": message["body"].decode(),
        "id": headers["x-request-id"],
    }
    await JSONResponse(told)(scope, receive, send)


def ingress(replicas: Scripted, *, root_path: str = "", **settings: Any) -> tuple[Ingress, httpx.AsyncClient]:
    given = ServerSettings(**settings)
    made = Ingress(replicas, given, pause=0.0)
    transport = httpx.ASGITransport(app=fronted(made, given), root_path=root_path)
    return made, httpx.AsyncClient(transport=transport, base_url="http://served")


def asked(
    replicas: Scripted,
    path: str = "/v1/completions",
    *,
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> httpx.Response:
    """The answer to a request by way of the ingress."""

    async def ask() -> httpx.Response:
        _, client = ingress(replicas, **settings)
        async with client:
            if "/v1" in path:
                return await client.post(path, json={"prompt": "ab"}, headers=headers)
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_a_request_comes_to_a_replica_whole_and_its_answer_back() -> None:
    told = asked(Scripted([HERE, echo]), "/v1/completions?a=b", headers={"X-Request-Id": "mine"})
    assert told.json() == {
        "method": "POST",
        "path": "/v1/completions",
        "query": "a=b",
        "body": '{"prompt":"ab"}',
        "id": "mine",
    }
    assert told.headers.get_list("x-request-id") == ["mine"]


def test_a_request_without_an_id_has_the_same_in_the_replica_and_for_its_client() -> None:
    told = asked(Scripted([HERE, echo]))
    assert told.headers["x-request-id"] == told.json()["id"]


@pytest.mark.parametrize("odd", ["a b", "", "x" * 129])
def test_an_id_that_is_none_is_replaced_by_one_for_the_replica_too(odd: str) -> None:
    told = asked(Scripted([HERE, echo]), headers={"X-Request-Id": odd})
    assert re.fullmatch("[0-9a-f]{32}", told.json()["id"])
    assert told.headers.get_list("x-request-id") == [told.json()["id"]]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param([LOST], id="before a replica had it"),
        pytest.param([HERE, LOST], id="in work"),
        pytest.param([HERE, [start()], LOST], id="before the body"),
        pytest.param([HERE, [start(), body(b'{"half', more=True)], LOST], id="in the middle of the body"),
        pytest.param([HERE, [start(kind=KIND)], LOST], id="before a stream's first event"),
        pytest.param([HERE], id="without a word"),
        pytest.param([], id="without having had it"),
        pytest.param([HERE, [start(), body(b'{"half', more=True)]], id="broken off"),
    ],
)
def test_a_request_that_lost_its_replica_is_answered_by_another_one(first: list[Any]) -> None:
    replicas = Scripted(first, [HERE, echo])
    told = asked(replicas)
    assert (told.status_code, told.json()["body"]) == (200, '{"prompt":"ab"}')
    assert len({each.body for each in replicas.asked}) == 1
    assert len({dict(each.headers)[b"x-request-id"] for each in replicas.asked}) == 1


def test_a_request_that_loses_every_replica_is_not_asked_without_end() -> None:
    replicas = Scripted(*[[HERE, LOST]] * 5)
    told = asked(replicas)
    assert (told.status_code, told.json()["error"]["code"]) == (500, "internal_error")
    assert len(replicas.asked) == 3


def test_a_stream_passes_event_by_event_and_ends_with_an_error_where_its_replica_is_lost() -> None:
    events = [[start(kind=KIND), body(b"data: 1\n\n", more=True)], [body(b"data: 2\n\n", more=True)]]
    replicas = Scripted([HERE, *events, LOST])
    told = asked(replicas)
    first, second, last, nothing = told.text.split("\n\n")
    assert (told.status_code, first, second, nothing) == (200, "data: 1", "data: 2", "")
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["type"], error["code"], error["message"]) == ("server_error", "internal_error", str(LOST))
    assert len(replicas.asked) == 1


def test_a_stream_that_is_over_stays_as_it_is_where_its_replica_is_lost_then() -> None:
    whole = [start(kind=KIND), body(b"data: [DONE]\n\n", more=True), body(b"")]
    assert asked(Scripted([HERE, whole, LOST])).text == "data: [DONE]\n\n"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 503, 504])
def test_what_a_replica_refuses_is_told_as_it_says_and_asked_of_no_other(status: int) -> None:
    replicas = Scripted([HERE, PlainTextResponse("no", status)])
    told = asked(replicas)
    assert (told.status_code, told.text, len(replicas.asked)) == (status, "no", 1)


def test_a_request_for_which_one_replica_has_no_place_goes_to_another_one() -> None:
    full = PlainTextResponse("full", 429, headers={"Retry-After": "1"})
    assert asked(Scripted([HERE, full], [HERE, echo])).status_code == 200
    told = asked(Scripted(*[[HERE, full]] * 3))
    assert (told.status_code, told.text, told.headers["retry-after"]) == (429, "full", "1")


def test_a_call_too_many_is_429_in_the_shape_of_all_errors() -> None:
    told = asked(Scripted([Full("so many")]))
    assert (told.status_code, told.headers["retry-after"]) == (429, "1")
    assert told.json()["error"]["code"] == "queue_full"
    assert told.json()["error"]["type"] == "rate_limit_error"


def test_without_a_replica_there_is_503() -> None:
    told = asked(Scripted([NoReplica("none")]))
    assert (told.status_code, told.json()["error"]["code"]) == (503, "closing")
    assert told.headers["retry-after"] == "5"


def test_nobody_waits_for_a_replica_longer_than_a_request_may_take() -> None:
    replicas = Scripted([asyncio.Event()])
    told = asked(replicas, request_timeout=0.02)
    assert (told.status_code, told.json()["error"]["code"], replicas.left) == (503, "closing", 1)
    assert "0.02 s" in told.json()["error"]["message"]


def test_key_and_size_are_asked_for_before_a_replica_is() -> None:
    replicas = Scripted()
    assert asked(replicas, api_key="k").status_code == 401
    assert asked(replicas, "/metrics", api_key="k").status_code == 401
    assert asked(replicas, max_body=3).status_code == 413
    assert not replicas.asked


def test_the_figures_are_those_of_all_replicas() -> None:
    text = b"# HELP llada_steps_total Steps.\n# TYPE llada_steps_total counter\nllada_steps_total %d.0\n"
    replicas = Scripted(figures={"one": text % 2, "two": text % 3})
    told = asked(replicas, "/metrics").text
    assert 'llada_steps_total{replica="one"} 2.0' in told
    assert 'llada_steps_total{replica="two"} 3.0' in told
    assert asked(replicas, "/batch/stats").json() == {"steps_total": 5.0, "replicas_silent": 0.0}
    assert not replicas.asked


def test_the_path_that_the_proxy_tells_of_is_not_part_of_what_is_asked() -> None:
    replicas = Scripted([HERE, echo], figures={"one": b""})
    there = {"root_path": "/llada", "api_key": "k"}
    assert asked(replicas, "/llada/metrics", **there).status_code == 401
    key = {"Authorization": "Bearer k"}
    assert asked(replicas, "/llada/metrics", headers=key, **there).status_code == 200
    told = asked(replicas, "/llada/v1/completions", headers=key, **there)
    assert told.json()["path"] == "/llada/v1/completions"
    (handed,) = replicas.asked
    assert handed.scope["root_path"] == "/llada"
    assert asked(replicas, "/llada", **there).headers["location"] == "/llada/"


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def drained(end: Any) -> list[httpx.Response]:
    """What a waiting request, a stream and a new request get when ``end`` has been called."""

    async def ask() -> list[httpx.Response]:
        held = asyncio.Event()
        stream = [start(kind=KIND), body(b"data: 1\n\n", more=True)]
        replicas = Scripted(
            [HERE, held, echo],
            [
                HERE,
                stream,
                held,
                [
                    body(b"data: 2\n\n"),
                ],
            ],
        )
        made, client = ingress(replicas)
        async with client:
            asking = [asyncio.create_task(client.post("/v1/completions", json={})) for _ in range(2)]
            await until(lambda: made.accepted == len(replicas.asked) == 2)
            await asyncio.sleep(0.01)
            end(made)
            told = [await client.post("/v1/completions", json={}), await client.get("/ready")]
            held.set()
            told += [await each for each in asking]
            await until(lambda: made.accepted == 0)
        return told

    return asyncio.run(ask())


def test_once_closed_those_that_were_taken_go_on_and_no_others_are() -> None:
    new, ready, whole, stream = drained(Ingress.close)
    assert (new.status_code, new.json()["error"]["code"]) == (503, "closing")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert (whole.status_code, stream.text) == (200, "data: 1\n\ndata: 2\n\n")


def test_dismissed_they_hear_that_nothing_more_comes() -> None:
    _, _, whole, stream = drained(Ingress.dismiss)
    assert (whole.status_code, whole.json()["error"]["message"]) == (503, STOPPED)
    error = json.loads(stream.text.split("\n\n")[1].removeprefix("data: "))["error"]
    assert (error["code"], error["message"]) == ("closing", STOPPED)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 5))


class Silent(Scripted):
    """Replicas that tell no figures."""

    async def figures(self) -> Told:
        self.left += 1
        await asyncio.Event().wait()
        raise AssertionError("nobody lets it go on")


async def events() -> Any:
    yield b"data: 1\n\n"
    await asyncio.Event().wait()


async def left(replicas: Scripted, path: str, *, whole: bool, cancelled: bool) -> list[Message]:
    """What was sent to a client that left once everything waited, with its body ``whole`` or not.

    The web server tells so, or cancels the request, as Ray's proxy does.
    """
    settings, gone, sent = ServerSettings(), asyncio.Event(), list[Message]()
    coming = [{"type": "http.request", "body": b"{}", "more_body": not whole}]

    async def receive() -> Message:
        if coming:
            return coming.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    method = "POST" if "/v1" in path else "GET"
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    front = fronted(Ingress(replicas, settings), settings, cancelled=Gone if cancelled else Closing)
    asking = asyncio.create_task(front(scope, receive, send))
    await asyncio.sleep(0.02)
    assert not asking.done()
    asking.cancel() if cancelled else gone.set()
    await asking
    return sent


@pytest.mark.parametrize(
    ("cancelled", "replicas", "path", "whole", "before", "reached"),
    [
        (False, [asyncio.Event()], "/v1/completions", True, 499, 1),
        (False, [StreamingResponse(events(), media_type=KIND)], "/v1/completions", True, 200, 1),
        (False, [echo], "/v1/completions", False, 499, 0),
        (True, [asyncio.Event()], "/v1/completions", True, 499, 1),
        (True, [StreamingResponse(events(), media_type=KIND)], "/v1/completions", True, 200, 1),
        (True, [echo], "/v1/completions", False, 499, 0),
        (True, None, "/metrics", True, 499, 1),
    ],
)
def test_a_client_that_leaves_is_499_wherever_its_request_is_and_leaves_its_replica_too(
    cancelled: bool,
    replicas: list[Any] | None,
    path: str,
    whole: bool,
    before: int,
    reached: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("llada_server"), "propagate", True)
    caplog.set_level("INFO", "llada_server.access")
    asked = Silent() if replicas is None else Scripted([HERE, *replicas])
    sent: list[Message] = []

    async def leave() -> None:
        sent.extend(await left(asked, path, whole=whole, cancelled=cancelled))

    run(leave())
    assert sent[0]["status"] == before
    assert asked.left == reached
    assert f"{path} 499 " in caplog.text
