"""The replicas as the ingress sees them: somebody who answers, or is lost, or has no place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from llada_server.ray.figures import Told
from llada_server.ray.handed import Handed
from llada_server.ray.library import Faults
from llada_server.scheduler.work import Broken, Closing, Full

__all__ = ["Lost", "NoReplica", "Replicas", "Serving"]

_PATIENCE = 5.0  # seconds that all replicas together get to tell their figures
_COLLECTING = 0.5  # seconds in which those that have come are taken, where others have not


class Lost(Broken):
    """The replica that had the request is gone."""


class NoReplica(Closing):
    """No replica takes the request now."""


class Serving(Protocol):
    """Who answers requests of the ingress."""

    def answer(self, asked: Handed) -> AsyncGenerator[list[Message], None]:
        """The messages of the answer as they come; the first list, which is empty, once a replica has the
        request. Raises ``Lost``, ``Full`` and ``NoReplica``."""
        ...

    async def figures(self) -> Told:
        """What the replicas count. Raises ``NoReplica`` where none tells it."""
        ...


class Replicas:
    """Those behind a handle of Ray Serve.

    Args:
        handle: of the deployment of ``Model``.
        faults: the library's errors.
    """

    def __init__(self, handle: Any, faults: Faults) -> None:
        self._handle, self._faults = handle, faults
        self._answering = handle.options(method_name="answer", stream=True)

    async def answer(self, asked: Handed) -> AsyncGenerator[list[Message], None]:
        """As of ``Serving``. Whoever stops to iterate cancels the request in its replica."""
        call = self._answering.remote(asked)
        try:
            async for batch in call:
                yield batch
        except (GeneratorExit, asyncio.CancelledError) as exc:
            with suppress(Exception):  # how a call ended that nobody waits for
                call.cancel()
            if isinstance(exc, asyncio.CancelledError) and not _cancelled():
                raise _lost() from exc  # it was the replica's task that was
            raise
        except self._faults.gone as exc:
            raise _lost() from exc
        except self._faults.crowded as exc:
            raise Full("so many requests wait for a replica that no more are taken; try again later") from exc
        except self._faults.unavailable as exc:
            raise NoReplica("no replica of the model could be started; see Ray's log") from exc

    async def figures(self) -> Told:
        """As of ``Serving``; all together have five seconds."""
        try:
            told = await _results(self._handle.broadcast("figures"))
        except TimeoutError:
            told = []
        except self._faults.unavailable as exc:  # none lives now, or none was ever started
            raise NoReplica("there is no replica of the model that could tell its figures") from exc
        figures = dict(each for each in told if not isinstance(each, BaseException))
        if not figures:
            raise NoReplica(f"no replica told its figures within {_PATIENCE:g} s")
        return Told(figures=figures, silent=len(told) - len(figures))


async def _results(asked: Any) -> list[Any]:
    """What all replicas answered, an exception in the place of an answer that did not come. Raises
    ``TimeoutError`` where it is not even known who was asked."""
    try:
        return list(await asked.results_async(timeout_s=_PATIENCE, return_exceptions=True))
    except TimeoutError:
        # The library drops all answers where one is missing. Asked from a thread it waits for each by itself.
        results = partial(asked.results, timeout_s=_COLLECTING, return_exceptions=True)
        return list(await run_in_threadpool(results))


def _cancelled() -> bool:
    """Whether this task is asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _lost() -> Lost:
    return Lost("the server failed while the request was in work; ask another one, or later")
