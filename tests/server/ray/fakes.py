"""Replicas and a handle of Ray Serve that follow a script, for what stands before them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from llada_server.ray.figures import Told
from llada_server.ray.handed import Handed, answered

__all__ = ["Call", "Crowded", "Gone", "Handle", "Scripted", "start"]

Step = list[Message] | BaseException | asyncio.Event | ASGIApp


class Gone(Exception):
    """What the library raises for a replica that died."""


class Crowded(Exception):
    """What it raises for a call too many."""


def start(status: int = 200, kind: str = "application/json") -> Message:
    """The beginning of an answer."""
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]}


class Scripted:
    """Replicas of which each in turn answers one request by its script.

    A step of a script is told, raised, waited for, or an application that answers.
    """

    def __init__(self, *scripts: list[Step], figures: Mapping[str, bytes] | None = None) -> None:
        self._scripts = deque(scripts)
        self._figures = figures or {}
        self.asked: list[Handed] = []
        self.left = 0
        """Requests whose client went before their end."""

    async def answer(self, asked: Handed) -> AsyncGenerator[list[Message], None]:
        self.asked.append(asked)
        try:
            for step in self._scripts.popleft():
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, list):
                    yield step
                else:
                    async for batch in answered(step, asked):
                        yield batch
        except (GeneratorExit, asyncio.CancelledError):
            self.left += 1
            raise

    async def figures(self) -> Told:
        return Told(figures=self._figures)


class Call:
    """What a handle returns: the items of a generator, or an error among them."""

    def __init__(self, items: list[Any]) -> None:
        self._items = deque(items)
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self._items:
            raise StopAsyncIteration
        item = self._items.popleft()
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, asyncio.Event):
            await item.wait()
            return await self.__anext__()
        return item


class Handle:
    """A handle whose calls return ``call``, and whose replicas tell ``figures``: a time-out among them is of
    one that does not answer, and one in their place of all that is asked."""

    def __init__(self, call: Call | None = None, figures: Any = ()) -> None:
        self._call, self._figures = call, figures
        self.options_given: dict[str, Any] = {}

    def options(self, **given: Any) -> Handle:
        self.options_given = given
        return self

    def remote(self, asked: Handed) -> Call:
        assert self._call is not None
        return self._call

    def broadcast(self, name: str) -> Handle:
        assert name == "figures"
        return self

    async def results_async(self, *, timeout_s: float, return_exceptions: bool) -> list[Any]:
        if any(isinstance(each, TimeoutError) for each in self._told()):
            raise TimeoutError
        return self.results(timeout_s=timeout_s, return_exceptions=return_exceptions)

    def results(self, *, timeout_s: float, return_exceptions: bool) -> list[Any]:
        assert return_exceptions
        return self._told()

    def _told(self) -> list[Any]:
        if isinstance(self._figures, BaseException):
            raise self._figures
        return list(self._figures)
