"""An answer on its way to the client: what is kept back as long as another replica could still give it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Message, Send

from llada_server.http import sse
from llada_server.http.problems import HttpProblem

__all__ = ["Reply", "Turned"]


class Turned(Exception):
    """The replica has no place for the request, and another one may."""


class Reply:
    """Sends an answer's messages on: events of a stream as they come, every other answer once it is whole.

    So an answer that a replica cannot end has not begun for the client, unless it is a stream.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._kept: list[Message] = []
        self._streamed = False
        self.begun = False
        self.ended = False

    def again(self) -> None:
        """Forget what has been kept: another replica answers from the beginning."""
        assert not self.begun
        self._kept.clear()

    async def take(self, message: Message, *, last: bool) -> None:
        """Take the next message. Raises ``Turned`` for a refusal with 429 that is not to be the ``last``."""
        if message["type"] == "http.response.start":
            if message["status"] == 429 and not last:
                raise Turned
            self._streamed = (
                Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
            )
        self._kept.append(message)
        is_body = message["type"] == "http.response.body"
        whole = is_body and not message.get("more_body", False)
        if whole or (is_body and self._streamed):
            self.begun, self.ended = True, whole
            await self._pass()

    async def fail(self, problem: HttpProblem) -> None:
        """End a stream that has begun with the event that tells why."""
        assert self.begun
        self.ended = True
        self._kept = [
            {"type": "http.response.body", "body": sse.event(problem.body), "more_body": True},
            {"type": "http.response.body", "body": b"", "more_body": False},
        ]
        await self._pass()

    async def _pass(self) -> None:
        kept, self._kept = self._kept, []
        for message in kept:
            await self._send(message)
