"""Streams of server-sent events: what happens to the answers, told in the words of one kind of request.

The requests are accepted before the status is sent, which can still say what is wrong with them. What fails
later is the last event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step
from llada_server import tracing
from llada_server.http import sse
from llada_server.http.answers import Answers
from llada_server.http.identified import told
from llada_server.http.leaving import EventStream, unless_gone
from llada_server.http.wire.base import StreamOptions
from llada_server.scheduler.events import Changed, Ended

__all__ = ["Voice", "stream"]


class Voice(Protocol):
    """How a kind of request tells what happens to answer ``index``."""

    def opening(self) -> Iterable[BaseModel]:
        """What is sent before anything has happened."""
        ...

    def canvas(self, index: int, cells: tuple[int | None, ...]) -> BaseModel | None:
        """The canvas at its beginning, for those who asked; None where nothing is on it."""
        ...

    def step(self, index: int, step: Step) -> BaseModel:
        """What one forward changed, for those who asked for it."""
        ...

    def heard(self, index: int, event: Changed | Ended) -> str:
        """What of the text of ``event`` belongs to the answer."""
        ...

    def text(self, index: int, text: str) -> BaseModel:
        """The next piece of text."""
        ...

    def end(self, index: int, result: GenerationResult) -> BaseModel:
        """Why it ended."""
        ...

    def summary(self, results: list[GenerationResult]) -> BaseModel:
        """What all of it took, for those who asked for it."""
        ...


async def stream(
    answers: Answers, voice: Voice, options: StreamOptions | None, request: Request
) -> EventStream:
    """The answers as they come. Raises what is wrong with their requests."""
    await unless_gone(request, answers.open())
    said = _said(answers, voice, options or StreamOptions())
    return EventStream(_guarded(said, request), close=answers.close)


async def _said(answers: Answers, voice: Voice, options: StreamOptions) -> AsyncIterator[BaseModel]:
    results: dict[int, GenerationResult] = {}
    for said in voice.opening():
        yield said
    if options.denoise:
        for index, cells in enumerate(answers.canvases):
            canvas = voice.canvas(index, cells)
            if canvas is not None:
                yield canvas
    async for index, event in answers:
        step = event.step
        if options.denoise and (step.positions or step.revoked or step.inserted):
            yield voice.step(index, step)
        text = voice.heard(index, event)
        if text:
            yield voice.text(index, text)
        if isinstance(event, Ended):
            results[index] = event.result
            # Beside the event loop: with what all tokens say it may be large.
            yield await run_in_threadpool(voice.end, index, event.result)
    if options.include_usage:
        yield voice.summary([results[index] for index in sorted(results)])


async def _guarded(said: AsyncIterator[BaseModel], request: Request) -> AsyncIterator[bytes]:
    try:
        async for each in said:
            yield sse.event(each)
    except Exception as exc:
        problem = told(exc, request.state)
        request.state.ended = problem.status
        tracing.note_failure(problem.code)
        yield sse.event(problem.body)
    else:
        yield sse.DONE
