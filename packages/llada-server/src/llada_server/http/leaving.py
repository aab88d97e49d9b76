"""Clients that go away: what was done for them stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream", "Gone", "unless_gone"]

_Result = TypeVar("_Result")


class Gone(Exception):
    """The client has closed its connection; nobody hears an answer."""


async def unless_gone(request: Request, work: Awaitable[_Result]) -> _Result:
    """What ``work`` returns; it is cancelled when the client goes away. Raises ``Gone`` then."""
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Gone
        return doing.result()
    finally:
        await _cancelled(doing, leaving)


class EventStream(Response):
    """Server-sent events that end when their client goes away, whether or not there is something to send.

    Args:
        events: what is sent.
        close: called when it is over, however it ended.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], *, close: Callable[[], None]) -> None:
        self.status_code, self.background = 200, None
        self._events, self._close = events, close
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})  # proxies are not to wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending, leaving = asyncio.ensure_future(self._send(send)), asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise Gone
            sending.result()
        finally:
            self._close()
            await _cancelled(sending, leaving)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
