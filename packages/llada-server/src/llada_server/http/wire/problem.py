"""Errors in OpenAI's shape."""

from __future__ import annotations

from llada_server.http.wire.base import Answer

__all__ = ["Problem", "ProblemDetail"]


class ProblemDetail(Answer):
    """What is wrong; ``param`` is the field of the request, where it is one's fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Problem(Answer):
    """An answer whose status is not 200, or the last event of a stream that failed."""

    error: ProblemDetail
