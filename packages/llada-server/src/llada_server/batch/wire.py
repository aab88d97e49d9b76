"""The JSON of the two files, in the format of OpenAI's Batch API."""

from __future__ import annotations

from typing import Any, Literal

from llada_core.values import shortened
from llada_server.http.wire.base import Answer, Wire

__all__ = ["BEGINNING", "AnswerLine", "LineError", "RequestLine", "Response", "shown"]

BEGINNING = b'{"id":"batch_req_'
"""What every answer begins with, as its fields stand in this order."""
_SHOWN = 100  # characters of a value that are repeated


class RequestLine(Wire):
    """One request; ``body`` is what would be sent to the path ``url``."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: Any


class Response(Answer):
    """What the server would answer: its status, and its JSON."""

    status_code: int
    request_id: str
    body: Any


class LineError(Answer):
    """Why a line is no request; ``line`` counts from 1, ``param`` is the field where it is one's fault."""

    code: str
    message: str
    param: str | None
    line: int


class AnswerLine(Answer):
    """What became of one line; its ``custom_id`` is None where it has none that can be read."""

    id: str
    custom_id: str | None
    response: Response | None = None
    error: LineError | None = None


def shown(value: str) -> str:
    """A text of one of the files as messages repeat it."""
    return repr(shortened(value, _SHOWN))
