"""A request on its way from the ingress to a replica, whole and nothing but data; and its answer there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

__all__ = ["Handed", "answered"]

_KEPT = (
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "root_path",
    "query_string",
    "client",
    "server",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A request of HTTP.

    Attributes:
        head: what the scope of ASGI says of it that is data.
        headers: names in small letters, and values.
    """

    head: dict[str, Any]
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, scope: Scope, body: bytes, headers: Mapping[str, str]) -> Handed:
        """The request of ``scope`` with its whole body, and these ``headers`` for its own of such names."""
        ours = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        names = {name for name, _ in ours}
        return cls(
            head={name: scope[name] for name in _KEPT if name in scope},
            headers=[*(each for each in scope["headers"] if each[0] not in names), *ours],
            body=body,
        )

    @property
    def scope(self) -> Scope:
        """The scope of ASGI."""
        return {"type": "http", "asgi": {"version": "3.0"}, "headers": self.headers, **self.head}


async def answered(app: ASGIApp, asked: Handed) -> AsyncGenerator[list[Message], None]:
    """The messages of ``app``'s answer as they come, in one list those that are there.

    Whoever stops to iterate is a client that has left: ``app`` hears so, and has ended when the generator is
    closed. Raises what ``app`` raises.
    """
    said: asyncio.Queue[Message | None] = asyncio.Queue()
    left = asyncio.Event()
    coming: list[Message] = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> Message:
        if coming:
            return coming.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await app(asked.scope, receive, said.put)
        finally:
            said.put_nowait(None)

    answering = asyncio.create_task(run())
    try:
        while batch := await _there(said):
            yield batch
        answering.result()
    finally:
        left.set()
        await asyncio.wait((answering,))


async def _there(said: asyncio.Queue[Message | None]) -> list[Message]:
    """The next message and all others that are there; none where the last has been taken."""
    batch = []
    message = await said.get()
    while message is not None:
        batch.append(message)
        if said.empty():
            return batch
        message = said.get_nowait()
    if batch:
        said.put_nowait(None)  # for who asks next
    return batch
