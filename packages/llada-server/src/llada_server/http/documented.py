"""What the OpenAPI document says of answers other than the usual one. It does not know the routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from llada_server.http.access import OPEN_PATHS
from llada_server.http.wire.problem import Problem

__all__ = ["ASKED", "DECODED", "EVERY", "FIGURES", "MISSING", "SCORED", "describe"]

Responses = dict[int | str, dict[str, Any]]

_TOLD = {
    400: "A field or value is wrong; the error names it.",
    401: "The server asks for a key, and the request has none or another one.",
    404: "The model, or the path, is not here.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    429: "So many requests wait, or come, that no more are taken now; Retry-After says when to ask again.",
    500: "The server failed.",
    503: "The server is about to stop, has all its connections, or its model's thread has failed.",
    504: "The answer was not done in time.",
}
_EVENTS = {
    "schema": {  # of each event, as OpenAPI reads it before 3.2
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "string", "description": "A chunk or an error as JSON, and at the end [DONE]."}
        },
    },
    "example": 'data: {"object":"…","choices":[…]}\n\ndata: [DONE]\n\n',
}


def _problems(*statuses: int) -> Responses:
    return {status: {"model": Problem, "description": _TOLD[status]} for status in statuses}


EVERY: Responses = _problems(401, 408, 413, 429, 500, 503)
"""Of every path."""
MISSING = _problems(404)
"""Of paths that name a model."""
ASKED = _problems(400, 404)
"""Of paths whose request has a body that names a model."""
DECODED: Responses = {
    200: {"description": "The answer; with stream, events.", "content": {"text/event-stream": _EVENTS}},
    **ASKED,
    **_problems(504),
}
"""Of paths where answers are decoded."""
SCORED = {**ASKED, **_problems(504)}
"""Of the path that asks the model without decoding."""

FIGURES: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
"""Of the path that Prometheus reads."""


def describe(app: FastAPI) -> None:
    """Let the document tell what every path may answer: ours instead of the framework's 422."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            _without_422(made())
            _with_key(made())
        return made()

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _with_key(schema: dict[str, Any]) -> None:
    """That a key may be asked for, on every path but those that are open."""
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{}, {"key": []}]
    for path in OPEN_PATHS & schema["paths"].keys():
        for operation in schema["paths"][path].values():
            operation["security"] = []
            operation["responses"].pop("401")


def _without_422(schema: dict[str, Any]) -> None:
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
