"""Bodies that are too large, too slow or too many are refused before the rest of them is read."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llada_server.http.leaving import Gone
from llada_server.http.problems import HttpProblem

__all__ = ["BoundedBody"]

_PATIENCE = 1.0  # seconds
_MOST = 8  # times the limit
_TOGETHER = 16  # times the limit


class BoundedBody:
    """An application that sees whole bodies, none longer than ``limit`` bytes: 413 for a longer one.

    Other refusals are 408 for one that has not come within ``patience`` seconds, and 429 where those that are
    coming have sixteen times the limit together. Raises ``Gone`` where a client leaves before that.
    """

    def __init__(self, app: ASGIApp, *, limit: int, patience: float) -> None:
        self._app, self._limit, self._patience = app, limit, patience
        self._held = 0  # bytes of bodies that have not come to their ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._patience):
                waiting = [await self._whole(receive, Headers(scope=scope).get("content-length", "0"))]
        except (HttpProblem, TimeoutError) as exc:
            problem = exc if isinstance(exc, HttpProblem) else self._late()
            await self._discard(receive)
            await _refuse(problem, scope, receive, send)
            return

        async def replayed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, send)

    async def _whole(self, receive: Receive, announced: str) -> Message:
        """The body as one message. Raises what is wrong with it, and ``Gone`` where its client leaves."""
        if announced.isdigit() and int(announced) > self._limit:
            raise self._large()
        parts: list[bytes] = []
        length = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                parts.append(message.get("body", b""))
                length, self._held = length + len(parts[-1]), self._held + len(parts[-1])
                if length > self._limit:
                    raise self._large()
                if not message.get("more_body", False):
                    return {"type": "http.request", "body": b"".join(parts), "more_body": False}
                if self._held > _TOGETHER * self._limit:
                    raise _crowd()
        finally:
            self._held -= length

    async def _discard(self, receive: Receive) -> None:
        """Take in a while what else comes: who closes a connection with bytes unread may lose the answer."""
        length = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while length <= _MOST * self._limit:
                    message = await receive()
                    length += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _large(self) -> HttpProblem:
        told = f"the body is longer than {self._limit} bytes; send less"
        return HttpProblem(413, told, code="request_too_large")

    def _late(self) -> HttpProblem:
        told = f"the body was not here within {self._patience:g} s; send it at once, or less"
        return HttpProblem(408, told, code="request_timeout")


def _crowd() -> HttpProblem:
    return HttpProblem(
        429,
        "the bodies of other requests take all the room that there is; try again later",
        type="rate_limit_error",
        code="queue_full",
        headers={"Retry-After": "1"},
    )


async def _refuse(problem: HttpProblem, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Connection": "close", **problem.headers}
    await JSONResponse(problem.body, status_code=problem.status, headers=headers)(scope, receive, send)
