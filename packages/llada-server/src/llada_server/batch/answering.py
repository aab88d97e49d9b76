"""Lines answered through one session: as many at a time as the server would take, each told when it is done.

This knows neither files nor the command: whoever has a model and lines may use it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import State

from llada_server.batch.bodies import KINDS, body_of
from llada_server.batch.entries import Named, Unusable, as_request, named
from llada_server.batch.lines import Line
from llada_server.batch.wire import AnswerLine, LineError, RequestLine, Response
from llada_server.http.identified import told
from llada_server.http.parsing import WrongBody
from llada_server.http.problems import Fields
from llada_server.http.routes.kind import Whole
from llada_server.http.served import Served
from llada_server.scheduler.work import Broken, Closing, Full

__all__ = ["Answered", "Answering"]

_TOGETHER = 16  # times the longest line: bytes of the lines in work
_LOOK = 0.005  # seconds between two looks whether there is room


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one line.

    Attributes:
        line: its number. text: the line of the output, as JSON without an end.
        failed: whether it has another status than 200, or none.
        tokens: of its answers. nfe: forward passes, summed over its answers.
    """

    line: int
    text: str
    failed: bool
    tokens: int = 0
    nfe: int = 0


class Answering:
    """What becomes of each line, told in the order in which they are done; to be iterated once.

    As many are in work or wait as the settings have rows and places in the queue, and no more is read ahead.
    Iterating raises ``Broken`` and ``Closing`` where the model's thread ends: of lines that were not told,
    nothing is known then.

    Args:
        served: the model; its thread has been started.
        lines: of any source; read where this is iterated, which is to be where no event loop runs.
    """

    def __init__(self, served: Served, lines: Iterable[Line]) -> None:
        self._flow = _Flow(served, iter(lines))

    def __iter__(self) -> Iterator[Answered]:
        failure: BaseException | None = None
        with asyncio.Runner() as runner:
            while done := runner.run(self._flow.next()):
                for each in done:
                    if (exc := each.exception()) is None:
                        yield each.result()
                    else:  # those in work end now, and some may have been answered
                        failure = failure or exc
                        self._flow.begin_no_more()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Let it end now, without what is in work. From any thread, and in handlers of signals."""
        self._flow.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A line that was read: what it asks, or its answer where that is known already. Its JSON is let go."""

    line: int
    custom_id: str | None
    asked: Whole | Answered
    state: State
    size: int

    @property
    def count(self) -> int:
        """Places that it takes."""
        return 1 if isinstance(self.asked, Answered) else self.asked.count


class _Flow:
    """The lines in work. In the event loop."""

    def __init__(self, served: Served, lines: Iterator[Line]) -> None:
        settings = served.settings
        self._served, self._lines = served, lines
        self._limit = self._places = settings.max_num_seqs + settings.max_queue
        self._bytes = _TOGETHER * settings.max_body
        self._working: set[asyncio.Task[Answered]] = set()
        self._done: deque[asyncio.Task[Answered]] = deque()
        self._any = asyncio.Event()
        self._next: _Ready | None = None
        self._ended = self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def next(self) -> list[asyncio.Task[Answered]]:
        """Those that are done and have not been told, one or more; none at the end."""
        self._loop = asyncio.get_running_loop()
        self._begin_some()
        if self._working and not self._stopped:
            await self._any.wait()
        self._any.clear()
        done = list(self._done)
        self._done.clear()
        return done

    def begin_no_more(self) -> None:
        """Let it end with what is in work."""
        self._next, self._ended = None, True

    def stop(self) -> None:
        """Let it end without what is in work. From any thread."""
        self._stopped = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._any.set)

    def _begin_some(self) -> None:
        """Begin lines while there are places, and room for what they hold."""
        while not self._stopped and (ready := self._read()):
            if self._working and (ready.count > self._places or ready.size > self._bytes):
                return
            self._next = None
            self._places, self._bytes = self._places - ready.count, self._bytes - ready.size
            task = asyncio.get_running_loop().create_task(self._answer(ready))
            self._working.add(task)
            task.add_done_callback(partial(self._end, ready))

    def _read(self) -> _Ready | None:
        """The next line, which stays the next one until it is begun; None at the end."""
        if self._next is None and not self._ended:
            line = next(self._lines, None)
            self._ended = line is None
            self._next = None if line is None else _ready(self._served, line)
        return self._next

    def _end(self, ready: _Ready, task: asyncio.Task[Answered]) -> None:
        self._working.discard(task)
        self._places, self._bytes = self._places + ready.count, self._bytes + ready.size
        self._done.append(task)
        self._any.set()

    async def _answer(self, ready: _Ready) -> Answered:
        if isinstance(ready.asked, Answered):
            return ready.asked
        try:
            return _answer(200, await self._whole(ready.asked), ready.line, ready.custom_id, ready.state)
        except (Broken, Closing):
            raise
        except Exception as exc:
            return _refused(exc, ready.line, ready.custom_id, ready.state)

    async def _whole(self, asked: Whole) -> BaseModel:
        """Its answer, begun once there is room. Places are not free as soon as their line is told: answers
        beside one that failed hold theirs until a forward has ended."""
        worker = self._served.worker
        while True:
            if worker.accepted + asked.count <= self._limit:
                with suppress(Full):  # of what is asked beside answers
                    return await asked.whole()
            await asyncio.sleep(_LOOK)


def _ready(served: Served, line: Line) -> _Ready:
    """What a line asks; nothing is in work yet."""
    state, custom_id = State({"id": uuid.uuid4().hex, "fields": Fields()}), None
    asked: Whole | Answered
    try:
        read = named(line, most=served.settings.max_body)
        custom_id = read.custom_id
        asked = _asked(served, read, state)
    except Unusable as exc:
        asked = _unusable(exc, line.number, custom_id, state)
    size = len(line.text or b"")
    return _Ready(line=line.number, custom_id=custom_id, asked=asked, state=state, size=size)


def _asked(served: Served, line: Named, state: State) -> Whole | Answered:
    """What a line asks of the model, or why it is refused. Raises ``Unusable``."""
    request = as_request(line, urls=KINDS)
    try:
        return _asking(served, request, line, state)
    except Unusable:
        raise
    except Exception as exc:
        error = exc.problem if isinstance(exc, WrongBody) else exc
        return _refused(error, line.line, line.custom_id, state)


def _asking(served: Served, request: RequestLine, line: Named, state: State) -> Whole:
    return KINDS[request.url].take(served, body_of(request, line), state)


def _refused(error: Exception, line: int, custom_id: str | None, state: State) -> Answered:
    problem = told(error, state)
    return _answer(problem.status, problem.body, line, custom_id, state)


def _answer(
    status: int, body: BaseModel | dict[str, Any], line: int, custom_id: str | None, state: State
) -> Answered:
    response = Response(status_code=status, request_id=state.id, body=body)
    answer = AnswerLine(id=f"batch_req_{state.id}", custom_id=custom_id, response=response)
    usage, generation = getattr(body, "usage", None), getattr(body, "generation", None)
    return Answered(
        line=line,
        text=answer.model_dump_json(),
        failed=status != 200,
        tokens=usage.completion_tokens if usage else 0,
        nfe=generation.nfe if generation else 0,
    )


def _unusable(exc: Unusable, number: int, custom_id: str | None, state: State) -> Answered:
    error = LineError(code=exc.code, message=exc.message, param=exc.param, line=number)
    answer = AnswerLine(id=f"batch_req_{state.id}", custom_id=custom_id, error=error)
    return Answered(line=number, text=answer.model_dump_json(), failed=True)
