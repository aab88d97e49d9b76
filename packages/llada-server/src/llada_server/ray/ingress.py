"""The ingress: it hands each request to a replica, and to another one where that was lost.

An answer depends on nothing that is kept, so a request may be asked again as long as its client has heard
nothing. It knows the replicas by what they answer and no model.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from llada_server import tracing
from llada_server.http.identified import told
from llada_server.http.leaving import Gone, unless_gone
from llada_server.ray.figures import merged, summed
from llada_server.ray.handed import Handed
from llada_server.ray.replicas import Lost, NoReplica, Serving
from llada_server.ray.reply import Reply, Turned
from llada_server.scheduler.work import STOPPED, Closing
from llada_server.settings import ServerSettings

__all__ = ["Ingress"]

_TRIES = 3  # of a request, each in another replica
_PAUSE = 0.1  # seconds before the next one, times the tries there were
_GLANCE = 5.0  # seconds that what asks for no answer of the model waits for a replica
_log = logging.getLogger(__name__)


class Ingress:
    """An application of ASGI that has ``replicas`` answer; what requests pass before it is not its business.

    Args:
        settings: of the server that each replica is.
        pause: seconds before a second try; before each further one more.
    """

    def __init__(self, replicas: Serving, settings: ServerSettings, *, pause: float = _PAUSE) -> None:
        self._replicas, self._pause = replicas, pause
        timeout = settings.request_timeout
        self._patience = None if math.isinf(timeout) else timeout
        self._doing: set[asyncio.Future[None]] = set()
        self._closed = self._dismissed = False

    @property
    def accepted(self) -> int:
        """Requests that have not ended."""
        return len(self._doing)

    def close(self) -> None:
        """Take no more requests for answers; those that were taken go on."""
        self._closed = True

    def dismiss(self) -> None:
        """Tell all whose requests have not ended that nothing more comes."""
        self._closed = self._dismissed = True
        for each in self._doing:
            each.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        message = await receive()  # whole, or the request would not be here
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        own = await self._own(scope["method"], path)
        if own is not None:
            await own(scope, receive, send)
            return
        headers = {**tracing.carried(), "X-Request-Id": request.state.id}
        asked = Handed.of(scope, message.get("body", b""), headers)
        reply = Reply(send)
        try:
            await unless_gone(_heard(request, reply), self._kept(self._handed(asked, reply)))
        except Exception as exc:
            if not reply.begun or isinstance(exc, Gone):
                raise
            if not reply.ended:
                await self._fail(exc, reply, request)

    async def _own(self, method: str, path: str) -> Response | None:
        """The answer to what is asked of all replicas together; None where one of them answers."""
        if method == "GET" and path == "/metrics":
            # Beside the event loop: of many replicas it takes longer than an event of a stream may wait.
            figures = await run_in_threadpool(merged, await self._replicas.figures())
            return Response(figures, headers={"Content-Type": CONTENT_TYPE_LATEST})
        if method == "GET" and path == "/batch/stats":
            return JSONResponse(await run_in_threadpool(summed, await self._replicas.figures()))
        if self._closed and path == "/ready":
            return JSONResponse({"ready": False}, status_code=503)
        if self._closed and method == "POST":
            raise Closing("this server takes no more requests; ask another one, or later")
        return None

    async def _fail(self, error: Exception, reply: Reply, request: Request) -> None:
        """End a stream as the single server ends one that fails."""
        problem = told(error, request.state)
        request.state.ended = problem.status
        tracing.note_failure(problem.code)
        await reply.fail(problem)

    async def _kept(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` where ``dismiss`` finds it. Raises ``Closing`` when it does."""
        doing = asyncio.ensure_future(work)
        self._doing.add(doing)
        try:
            await asyncio.wait((doing,))
            if doing.cancelled() and self._dismissed:
                raise Closing(STOPPED)
            doing.result()
        finally:
            self._doing.discard(doing)
            if not doing.done():
                doing.cancel()
                await asyncio.wait((doing,))

    async def _handed(self, asked: Handed, reply: Reply) -> None:
        """Have the request answered. Raises what the last try did, and ``Lost`` at once where the client has
        heard a part of the answer."""
        for tried in range(1, _TRIES + 1):
            try:
                await self._tried(asked, reply, last=tried == _TRIES)
                return
            except (Lost, Turned) as exc:
                if reply.begun or tried == _TRIES:
                    raise
                if isinstance(exc, Lost):
                    _log.warning("request %s lost its replica and is asked again", _id_of(asked))
            reply.again()
            await asyncio.sleep(self._pause * tried)

    async def _tried(self, asked: Handed, reply: Reply, *, last: bool) -> None:
        """Have the request answered by one replica. Raises ``Lost`` where it did not to the end."""
        async with aclosing(self._replicas.answer(asked)) as batches:
            await self._reached(batches, asked)
            async for batch in batches:
                for message in batch:
                    await reply.take(message, last=last)
        if not reply.ended:
            raise Lost("the answer broke off; ask again")

    async def _reached(self, batches: AsyncGenerator[list[Message], None], asked: Handed) -> None:
        """Return once a replica has the request. Raises ``NoReplica`` where none takes it in time."""
        patience = self._patience if asked.head["method"] == "POST" else _GLANCE
        try:
            await asyncio.wait_for(anext(batches), patience)
        except StopAsyncIteration as exc:
            raise Lost("the answer broke off; ask again") from exc
        except TimeoutError as exc:
            raise NoReplica(f"no replica took the request within {patience:g} s; try again later") from exc


def _heard(request: Request, reply: Reply) -> Request:
    """The request, of whose client it is not heard that it left with the whole answer: so does everybody."""

    async def receive() -> Message:
        message = await request.receive()
        if reply.ended:
            await asyncio.Event().wait()
        return message

    return Request(request.scope, receive)


def _id_of(asked: Handed) -> str:
    return dict(asked.headers)[b"x-request-id"].decode("latin-1")
