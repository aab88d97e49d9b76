"""Traces by OpenTelemetry, where ``opentelemetry-api`` is installed: a span a request, and in it what it did.

The children are ``queue``, from arrival to the first step, and ``block k`` for each block that was in work.
Where spans go, the program's own set-up of OpenTelemetry says; without one they cost nothing. No span holds
text of a prompt or an answer.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import llada_server
from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.events import Changed, Ended, Event

__all__ = ["AnswerTrace", "Traced", "answer_trace", "available", "carried", "note_failure", "note_gone"]

try:
    _trace: Any = importlib.import_module("opentelemetry.trace")
    _propagate: Any = importlib.import_module("opentelemetry.propagate")
except ImportError:  # an extra: the server works as well without
    _trace = _propagate = None

_UNTRACED = frozenset({"/health", "/ready", "/metrics"})  # asked every few seconds, by machines


def available() -> bool:
    """Whether the library is installed."""
    return _trace is not None


def carried() -> dict[str, str]:
    """The headers with which another process goes on with the current trace; none where nobody traces."""
    headers: dict[str, str] = {}
    if available():
        _propagate.inject(headers)
    return headers


def note_failure(kind: str | None) -> None:
    """Note that the current request failed, by an error of this code, after its status was sent."""
    if available():
        span = _trace.get_current_span()
        span.set_attribute("error.type", kind or "error")
        span.set_status(_trace.StatusCode.ERROR)


def note_gone() -> None:
    """Note that the client of the current request left before its end, which is no error of the server."""
    if available():
        _trace.get_current_span().set_attribute("llada.client_left", True)


class Traced:
    """An application whose requests are spans, each the child of what its ``traceparent`` names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) in _UNTRACED:
            await self._app(scope, receive, send)
            return
        with _request_span(scope) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                await send(message)

            await self._app(scope, receive, watched)
            if "route" in scope:  # known only once it was found; a path would make too many names
                span.update_name(f"{scope['method']} {scope['route'].path}")
                span.set_attribute("http.route", scope["route"].path)


@contextmanager
def _request_span(scope: Scope) -> Iterator[Any]:
    """The span of a request, current inside."""
    told = {"http.request.method": scope["method"], "url.path": scope["path"]}
    parent = _propagate.extract(dict(Headers(scope=scope).items()))
    span = _tracer().start_span(scope["method"], context=parent, kind=_trace.SpanKind.SERVER, attributes=told)
    with _trace.use_span(span, end_on_exit=True):
        yield span


def _note_status(span: Any, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(_trace.StatusCode.ERROR)


def _tracer() -> Any:
    return _trace.get_tracer("llada_server", llada_server.__version__)


def answer_trace(index: int) -> AnswerTrace | None:
    """What traces answer ``index`` of the current request; None where nobody records it."""
    if not available() or not _trace.get_current_span().is_recording():
        return None
    return AnswerTrace(_trace.get_current_span(), index)


class AnswerTrace:
    """One answer of a request.

    Events are only noted as they happen, in the model's thread; spans are made by ``emit``, in the event
    loop, since whoever exports them may wait.

    Args:
        parent: the request's span.
        index: which of the request's answers it is.
    """

    def __init__(self, parent: Any, index: int) -> None:
        self._parent, self._index, self._posted = parent, index, time.perf_counter()
        self._epoch = time.time_ns() - time.perf_counter_ns()  # when the clock of tickets was 0
        self._seen: list[tuple[float, Step]] = []
        self._result: GenerationResult | None = None
        self._over = False

    def see(self, event: Event) -> None:
        """Note an event."""
        if isinstance(event, Ended):
            self._result = event.result
        if isinstance(event, Changed | Ended) and (event.step.positions or not event.step.finished):
            self._seen.append((time.perf_counter(), event.step))

    def emit(self) -> None:
        """Make the spans of what was noted; once, however often it is called."""
        if self._over:
            return
        self._over, seen = True, list(self._seen)
        ticket = seen[0][1].ticket if seen else None
        began = self._queue(ticket)
        nfe = 0
        for block, steps in groupby(seen, key=lambda noted: noted[1].block):
            began, nfe = self._block(block, list(steps), began, nfe)
        if self._result is not None:
            self._parent.set_attribute("llada.algorithm", self._result.algorithm)
            self._parent.set_attribute("llada.engine", self._result.engine)

    def _queue(self, ticket: Ticket | None) -> float:
        """The span of its waiting, and when it was over; of a row that was never in work, until now."""
        arrived = ticket.arrived if ticket is not None else None
        admitted = ticket.admitted if ticket is not None else None
        until = time.perf_counter() if admitted is None else admitted
        self._span("queue", self._posted if arrived is None else arrived, until, {})
        return until

    def _block(
        self, block: int, steps: Sequence[tuple[float, Step]], began: float, nfe: int
    ) -> tuple[float, int]:
        """The span of one block, and its end in seconds and in forwards."""
        ended, last = steps[-1]
        tokens = sum(len(step.positions) for _, step in steps)
        told = {"llada.block": block, "llada.forwards": last.nfe - nfe, "llada.tokens": tokens}
        self._span(f"block {block}", began, ended, told)
        return ended, last.nfe

    def _span(self, name: str, began: float, ended: float, told: Mapping[str, int]) -> None:
        span = _tracer().start_span(
            name,
            context=_trace.set_span_in_context(self._parent),
            start_time=self._epoch + int(began * 1e9),
            attributes={"llada.answer": self._index, **told},
        )
        span.end(end_time=self._epoch + int(ended * 1e9))
