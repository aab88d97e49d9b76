"""The page at ``/``, and its files."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from starlette.responses import Response

from llada_server.http.problems import HttpProblem

__all__ = ["router"]

_KINDS = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
# Nothing is loaded from elsewhere, and nobody may frame the page.
_POLICY = "default-src 'self'; img-src data:; frame-ancestors 'none'"


def router() -> APIRouter:
    """The paths."""
    routes = APIRouter(include_in_schema=False)
    files = {
        file.name: file.read_bytes()
        for file in resources.files("llada_server.playground").iterdir()
        if file.name.rpartition(".")[2] in _KINDS
    }

    @routes.get("/")
    async def page() -> Response:
        return _file("index.html")

    @routes.get("/playground/{name}")
    async def part(name: str) -> Response:
        return _file(name)

    def _file(name: str) -> Response:
        if name not in files:
            raise HttpProblem(404, f"the playground has no file {name!r}")
        kind = _KINDS[name.rpartition(".")[2]]
        headers = {
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(files[name], media_type=f"{kind}; charset=utf-8", headers=headers)

    return routes
