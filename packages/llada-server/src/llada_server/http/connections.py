"""Connections whose clients do nothing end, and there are only so many of them.

The web server itself waits without end for the rest of a request's head, and for a client to read. It does
not know the requests: a body has its time in ``body``, an answer in ``answers``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from functools import partial
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from llada_server.http.identified import Identified
from llada_server.http.problems import HttpProblem
from llada_server.settings import ServerSettings

__all__ = ["Connection", "configured"]

_BESIDE = 256  # connections beside those of requests in work: of probes, pages, and who is told to wait
_UNSENT = 2**17  # bytes of each connection in the kernel, which doubles it
_HASTE = 1.0  # seconds that a connection too many gets to hear that it is one
_HEARING = 64  # of these at a time; more are closed unheard


def configured(app: ASGIApp, settings: ServerSettings, *, farewell: int | None = None) -> uvicorn.Config:
    """What the web server is told; ``farewell`` are the seconds that answers get once it stops."""
    protocol = partial(
        Connection,
        patience=settings.client_timeout,
        most=settings.max_num_seqs + settings.max_queue + _BESIDE,
        refusal=_crowded(),
    )
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # it is called as the class is
        ws="none",
        log_config=None,  # Uvicorn's asks stdout for a colour, which may be closed
        log_level="warning",  # ours tells the address, and of each request its id
        lifespan="off",  # nothing is begun or ended in it
        access_log=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=farewell,
        ssl_keyfile=settings.ssl_keyfile,
        ssl_certfile=settings.ssl_certfile,
    )


def _crowded() -> ASGIApp:
    """What answers requests of connections that are too many."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise HttpProblem(
            503,
            "this server has as many connections as it takes; close some that you do not need, or try later",
            type="server_error",
            code="too_many_connections",
            headers={"Retry-After": "1", "Connection": "close"},
        )

    return Identified(refuse, key=None)


class Connection(H11Protocol):
    """One connection, as Uvicorn makes them.

    Args:
        patience: seconds in which a request's head has to come, and in which the client has to take something
            of what waits to be sent to it. The connection is closed then.
        most: connections at a time. The ``refusal`` answers a request of one more.
    """

    def __init__(self, *given: Any, patience: float, most: int, refusal: ASGIApp, **more: Any) -> None:
        super().__init__(*given, **more)
        self._patience, self._most, self._refusal = patience, most, refusal
        self._head: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._deaf = False  # to what else is sent

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whoever takes a third of what the kernel holds takes something. Unasked it would hold megabytes.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        transport.set_write_buffer_limits(high=0)  # to be told whenever something has to wait
        surplus = len(self.connections) - self._most
        if surplus > _HEARING:
            transport.abort()
        elif surplus > 0:
            self.app, self._patience = self._refusal, min(self._patience, _HASTE)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        super().data_received(data)
        if self._working and self.conn.their_state is h11.DONE and self.conn.trailing_data[0]:
            self._answer_last()
        self._await_head()

    def _answer_last(self) -> None:
        """End the connection with the answer in work: the client has sent a further request already.

        The web server would stop reading until that answer is done, and not see the client leave.
        """
        assert self.cycle is not None
        self._deaf, self.cycle.keep_alive = True, False
        self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and so reached no application, in the shape of all errors."""
        told = HttpProblem(400, "this is no HTTP/1.1 request; send one", code="invalid_request")
        headers = [("Content-Type", "application/json"), ("Connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=[*headers, ("X-Request-Id", uuid.uuid4().hex)]),
            h11.Data(data=json.dumps(told.body).encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: Java's client asks for HTTP/2 with each request, and is answered by HTTP/1.1."""

    @property
    def _working(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        super().resume_writing()

    def _await_head(self) -> None:
        """From the first of it on, whether more comes or not; until a request is in work."""
        if self._head is None and not self._working:
            self._head = self.loop.call_later(self._patience, self.transport.abort)
        elif self._head is not None and self._working:
            self._head.cancel()
            self._head = None

    def _await_reading(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._await_reading()
            else:
                self.transport.abort()

        self._reading = self.loop.call_later(self._patience, look)
