"""The application: routes, and what every request passes before and after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

import llada_server
from llada_server import tracing
from llada_server.http.body import BoundedBody
from llada_server.http.documented import EVERY, describe
from llada_server.http.identified import Identified, answer_of
from llada_server.http.leaving import Gone
from llada_server.http.parsing import WrongBody
from llada_server.http.problems import HttpProblem, validation_problem
from llada_server.scheduler.work import Closing
from llada_server.settings import ServerSettings

__all__ = ["application", "fronted"]


def application(settings: ServerSettings, routers: Iterable[APIRouter]) -> FastAPI:
    """The application that serves ``routers`` under these settings."""
    app = FastAPI(
        title="llada-server",
        version=llada_server.__version__,
        description="Diffusion language models by the OpenAI API, and what only they can do.",
        responses=EVERY,
        docs_url=None,  # the framework's pages load their programs from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to the host that the client names, and clients would send their key there
        telemetry={"tracing": False, "logs": False},  # of newer versions; ours has queue and blocks
    )
    describe(app)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(WrongBody, _wrong)
    for layer, options in _layers(settings):
        app.add_middleware(layer, **options)
    return app


def fronted(app: ASGIApp, settings: ServerSettings, *, cancelled: type[Gone | Closing] = Closing) -> ASGIApp:
    """``app`` behind all that requests pass before the routes of ``application``; ``cancelled`` as of
    ``Identified``."""
    for layer, options in _layers(settings, cancelled):
        app = layer(app, **options)
    return app


def _layers(
    settings: ServerSettings, cancelled: type[Gone | Closing] = Closing
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What requests pass, from the inside out: the limit of bodies, id and key and log, CORS, traces.

    A preflight asks for no key, as browsers send none with it, and pages may read what a refusal says.
    """
    yield BoundedBody, {"limit": settings.max_body, "patience": settings.client_timeout}
    yield Identified, {"key": settings.api_key, "cancelled": cancelled}
    if settings.cors_origins:
        yield (
            _Preflights,
            {
                "allow_origins": list(settings.cors_origins),
                "allow_methods": ["GET", "HEAD", "POST"],
                "allow_headers": ["*"],  # clients of OpenAI send some of their own
                "expose_headers": ["X-Request-Id", "Retry-After", "x-should-retry"],
            },
        )
    if tracing.available():
        yield tracing.Traced, {}
    yield _Rooted, {"path": settings.root_path}


class _Preflights(CORSMiddleware):
    """CORS, whose answers to browsers that ask before they ask are as all others: with an id, a line of the
    log, and errors of one shape."""

    def preflight_response(self, request_headers: Headers) -> ASGIApp:  # type: ignore[override]
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return Identified(response, key=None)
        wrong = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        told = f"a page may not ask so ({wrong}); --cors-origin says which may, by GET, HEAD and POST"
        headers = {name: value for name, value in response.headers.items() if "content" not in name}
        return Identified(answer_of(HttpProblem(400, told, headers=headers)), key=None)


class _Rooted:
    """An application that a proxy offers under ``path``, which it leaves in requests or takes away; empty is
    the path that the web server tells of.

    The page is at ``path/``: who asks for ``path`` is sent there.
    """

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        self._app, self._path = app, path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._path or scope.get("root_path", "").rstrip("/")
        app = self._app
        if path and scope.get("path") == path:
            app = Identified(RedirectResponse(f"{path}/"), key=None)
        await app({**scope, "root_path": path}, receive, send)


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return answer_of(validation_problem(exc.errors()))


async def _wrong(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, WrongBody)
    return answer_of(exc.problem)


async def _refused(request: Request, exc: Exception) -> Response:
    """Paths and methods that do not exist, and what the framework refuses."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 400:  # bytes of no text, and what is nested too deeply to be read
        return answer_of(
            HttpProblem(400, "the body is no JSON that can be read; correct it", code="invalid_json")
        )
    headers, path = dict(exc.headers or {}), request.url.path
    told = {
        404: f"{path} does not exist here; see /openapi.json",
        405: f"{path} does not take {request.method}; send {headers.get('Allow', 'another method')}",
    }
    message = told.get(exc.status_code, str(exc.detail))
    return answer_of(HttpProblem(exc.status_code, message, headers=headers))
