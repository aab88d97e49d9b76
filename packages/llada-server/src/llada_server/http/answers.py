"""The answers to one request: several works of the model's thread, heard in the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType

from llada_core.errors import ParameterError
from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.parameters import STANDARD
from llada_server import tracing
from llada_server.http.problems import Late
from llada_server.scheduler.events import Began, Changed, Ended, Event, Failed
from llada_server.scheduler.work import Work
from llada_server.scheduler.worker import Worker

__all__ = ["Answers"]

_log = logging.getLogger(__name__)


class Answers:
    """The works of ``requests``, from when all are accepted until they have ended; closing cancels the rest.

    ::

        async with Answers(worker, requests, timeout=600) as answers:
            async for index, event in answers:
                ...

    Args:
        timeout: seconds that all of it may take.
        follow: whether iterating tells what changes, too, and not only how each ended.
        told: whether prompts and answers are logged.

    Attributes:
        canvases: of each request, ids and None for masks, at its beginning.
    """

    def __init__(
        self,
        worker: Worker,
        requests: Sequence[GenerationRequest],
        *,
        timeout: float,
        follow: bool = True,
        told: bool = False,
    ) -> None:
        self._worker, self._requests, self._timeout, self._told = worker, requests, timeout, told
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._early: deque[tuple[int, Changed | Ended]] = deque()  # heard while not all had begun
        self._works: dict[int, Work] = {}
        self._traces = [tracing.answer_trace(index) for index in range(len(requests))]
        self._follow = follow or any(self._traces)  # which see every block
        self._alarm: asyncio.TimerHandle | None = None
        self._late: Late | None = None  # once the time is over
        self.canvases: list[tuple[int | None, ...]] = [()] * len(requests)

    async def open(self) -> None:
        """Post the requests; return once all are accepted.

        Raises ``Full``, ``Closing`` and ``Late``, and what the first that is not accepted raises: then none
        is in work.
        """
        try:
            self._alarm = self._loop.call_later(self._timeout, self._expire)
            for index, request in enumerate(self._requests):
                if self._told:
                    _log.info("prompt %r, template %r", request.prompt, request.template)
                self._works[index] = self._worker.post(
                    request, partial(self._hear, index), follow=self._follow
                )
            await self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what has not ended."""
        if self._alarm is not None:
            self._alarm.cancel()
        for trace in filter(None, self._traces):
            trace.emit()
        for work in self._works.values():
            self._worker.cancel(work)
        self._works.clear()

    async def results(self) -> list[GenerationResult]:
        """Every result, in the order of the requests, once all have ended. Raises as iterating does."""
        found = {index: event.result async for index, event in self if isinstance(event, Ended)}
        return [found[index] for index in sorted(found)]

    async def __aenter__(self) -> Answers:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[int, Changed | Ended]]:
        """What changed and how each ended, as it happens. Raises the error of the first that fails."""
        while self._works:
            index, event = self._early.popleft() if self._early else await self._next()
            assert not isinstance(event, Began), "all have begun"
            if isinstance(event, Ended):
                del self._works[index]
                if self._told:
                    _log.info("answer %r", event.result.text)
            yield index, event

    async def _begin(self) -> None:
        waiting = set(self._works)
        while waiting:
            index, event = await self._next()
            if isinstance(event, Began):
                self.canvases[index] = event.cells
                waiting.discard(index)
            else:
                self._early.append((index, event))

    def _expire(self) -> None:
        """The time is over, even where the client does not take what there is."""
        self._late = Late(f"the answer was not done within {self._timeout:g} s; ask for fewer tokens")
        self._heard.put_nowait((-1, Failed(error=self._late)))  # for who waits
        for work in self._works.values():
            self._worker.cancel(work)

    async def _next(self) -> tuple[int, Began | Changed | Ended]:
        index, event = await self._heard.get()
        if self._late is not None:
            raise self._late
        if isinstance(event, Failed):
            raise self._as_asked(event.error, index)
        return index, event

    def _as_asked(self, error: Exception, index: int) -> Exception:
        """The error, about the parameter as the client called it."""
        if isinstance(error, ParameterError):
            given = self._requests[index].parameters
            names = next((each.names for each in STANDARD.values() if each.name == error.parameter), ())
            error.parameter = next((name for name in names if name in given), error.parameter)
        return error

    def _hear(self, index: int, event: Event) -> None:
        """Called in the model's thread, which is not to notice that the server has gone."""
        trace = self._traces[index]
        if trace is not None:
            trace.see(event)
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._heard.put_nowait, (index, event))
