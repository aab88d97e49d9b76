"""What every request passes: it gets its id, is asked for the key, and is a line of the log at its end."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.datastructures import MutableHeaders, State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llada_core.values import shortened
from llada_server import tracing
from llada_server.http.access import check_key
from llada_server.http.leaving import Gone
from llada_server.http.problems import Fields, HttpProblem, problem_of
from llada_server.scheduler.work import STOPPED, Broken, Closing

__all__ = ["Identified", "answer_of", "told"]

_log = logging.getLogger("llada_server.access")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LONGEST = 200  # characters of a path
_GONE = 499  # what nginx logs for it; nobody reads the answer


def told(error: Exception, state: State) -> HttpProblem:
    """What the client of the request with this ``state`` is told of an error; what is nobody's business but
    ours is logged under the request's id."""
    problem = problem_of(error, request_id=state.id, fields=state.fields)
    if problem.status == 500 and not isinstance(error, Broken):  # which is logged, once for all
        _log.error("request %s failed", state.id, exc_info=error)
    return problem


def answer_of(problem: HttpProblem) -> JSONResponse:
    """The answer that tells of it."""
    return JSONResponse(problem.body, status_code=problem.status, headers=dict(problem.headers))


class Identified:
    """An application whose requests have an id, carry the key (None: whoever they are), and end in one line
    of the log and, whatever is raised, in an answer.

    Of each request's ``state`` routes may set ``fields``, which errors are about, and ``ended``, the status
    that the log tells where an answer whose status has been sent ended otherwise.

    HEAD is GET without the body, which the web server leaves out.

    Args:
        cancelled: what it is to whoever waits that the task of a request is cancelled: the end of the server,
            which does not wait any longer, unless what calls the application cancels for another reason.
    """

    def __init__(self, app: ASGIApp, *, key: str | None, cancelled: type[Gone | Closing] = Closing) -> None:
        self._app, self._key, self._cancelled = app, key, cancelled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _identified(scope)
        began, sent = time.perf_counter(), _Sent(send, request.state.id)
        try:
            check_key(request, self._key)
            await self._app(request.scope, receive, sent)
        except (Exception, asyncio.CancelledError) as exc:
            request.state.ended = await self._end(exc, request, sent)
        finally:
            scope.update({"route": request.scope["route"]} if "route" in request.scope else {})
            took = (time.perf_counter() - began) * 1000
            status = request.state.ended or sent.status or 500
            _log.info(
                "%s %s %d %.0f ms id=%s",
                shortened(scope["method"], 20), quote(shortened(scope["path"], _LONGEST)), status, took,
                request.state.id,
            )  # fmt: skip

    async def _end(self, error: BaseException, request: Request, sent: _Sent) -> int:
        """Answer a request that ended in an error, unless an answer has begun: its status."""
        if isinstance(error, asyncio.CancelledError):
            error = self._cancelled(STOPPED)
        if isinstance(error, Gone):
            tracing.note_gone()
            response, status = Response(status_code=_GONE), _GONE
        else:
            assert isinstance(error, Exception)
            problem = told(error, request.state)
            response, status = answer_of(problem), problem.status
        if not sent.status:
            await response(request.scope, request.receive, sent)
        return status


def _identified(scope: Scope) -> Request:
    """The request with its state; the method stays as the web server knows it."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    request = Request({**scope, "method": method, "state": {}})
    given = request.headers.get("x-request-id", "")
    request.state.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    request.state.fields, request.state.ended = Fields(), None
    return request


class _Sent:
    """Sends, with the id in the headers; ``status`` is that of the answer, 0 before it begins."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id = send, request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self._id
        await self._send(message)
