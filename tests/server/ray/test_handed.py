"""A request as data, and the application that answers it in a replica."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import aclosing
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from llada_server.ray.handed import Handed, answered

SCOPE: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/llada/v1",
    "root_path": "/llada",
    "query_string": b"a=b",
    "headers": [(b"x-request-id", b"no id\xff"), (b"authorization", b"Bearer k")],
    "client": ("127.0.0.1", 1),
    "state": object(),
    "app": lambda: None,
}
ASKED = Handed.of(SCOPE, b"body", {"X-Request-Id": "mine"})


def test_a_request_is_data_with_the_headers_that_it_was_given() -> None:
    there = pickle.loads(pickle.dumps(ASKED))
    assert there == ASKED
    assert there.scope == {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": "/llada/v1",
        "root_path": "/llada",
        "query_string": b"a=b",
        "headers": [(b"authorization", b"Bearer k"), (b"x-request-id", b"mine")],
        "client": ("127.0.0.1", 1),
    }


async def batches(app: Any) -> list[Any]:
    return [batch async for batch in answered(app, ASKED)]


def test_messages_that_are_there_come_together_and_all_in_their_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"body"
        await send({"n": 1})
        await send({"n": 2})
        await asyncio.sleep(0.01)
        await send({"n": 3})

    assert asyncio.run(batches(app)) == [[{"n": 1}, {"n": 2}], [{"n": 3}]]


def test_an_application_that_says_nothing_and_one_that_fails() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    assert asyncio.run(batches(silent)) == []
    with pytest.raises(ZeroDivisionError):
        asyncio.run(batches(failing))


def test_the_application_hears_that_its_client_has_left_and_ends_before_the_generator() -> None:
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"n": 1})
        heard.append(await receive())
        await asyncio.sleep(0.01)
        heard.append("over")

    async def leave() -> None:
        async with aclosing(answered(app, ASKED)) as telling:
            await anext(telling)

    asyncio.run(leave())
    assert heard == [{"type": "http.disconnect"}, "over"]
