"""The ingress as a deployment of Ray Serve, behind its proxies."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llada_server.http.application import fronted
from llada_server.http.leaving import Gone
from llada_server.logs import log_to_stderr
from llada_server.ray.ingress import Ingress
from llada_server.ray.library import faults
from llada_server.ray.replicas import Replicas
from llada_server.settings import ServerSettings

__all__ = ["Front"]


class Front:
    """What Serve's proxies hand requests to.

    Args:
        models: a handle of the deployment of ``Model``.
        settings: of the server as its clients see it.
    """

    def __init__(self, models: Any, settings: ServerSettings) -> None:
        log_to_stderr(settings.log_level, requests=settings.log_requests, prompts=settings.log_prompts)
        ingress = Ingress(Replicas(models, faults()), settings)
        # The proxy cancels the request of a client that left, whatever that one's request waits for.
        self._app = _Proxied(fronted(ingress, settings, cancelled=Gone))

    async def __call__(self, request: Request) -> Response:
        """What Serve sends: the answer of the application, which it asks for by itself."""
        return _Answer(self._app)


class _Answer(Response):
    """An answer that an application gives."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Proxied:
    """An application behind a proxy that puts the id of each request into its answer, once more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = Headers(scope=scope).get("x-request-id")

        async def once(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("x-request-id") == known:
                    del headers["x-request-id"]
            await send(message)

        await self._app(scope, receive, once)
