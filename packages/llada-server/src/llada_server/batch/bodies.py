"""What a line asks, as far as that can be said without a model; and whether a file begins with anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llada_core.errors import UsageError
from llada_server.batch.entries import Named, Unusable, as_request, named
from llada_server.batch.lines import Line
from llada_server.batch.wire import RequestLine, shown
from llada_server.http.parsing import WrongBody, check_whole, validated
from llada_server.http.routes.chat import CHAT
from llada_server.http.routes.completions import COMPLETIONS
from llada_server.http.routes.infill import INFILL, SCORE
from llada_server.http.routes.kind import Kind, Whole
from llada_server.http.wire.base import DecodingRequest
from llada_server.serving import name_at
from llada_server.settings import ServerSettings

__all__ = ["KINDS", "body_of", "check_beginning"]

KINDS: Mapping[str, Kind[Any, Whole]] = {kind.path: kind for kind in (CHAT, COMPLETIONS, INFILL, SCORE)}
"""What a line may ask, by its ``url``."""
_FIRST = 10  # lines of which one at least is to be right, before a model is loaded for the others


def body_of(request: RequestLine, line: Named) -> BaseModel:
    """The body as the server reads it. Raises ``Unusable`` and ``WrongBody``."""
    check_whole(request.body, line.text)
    body: BaseModel = validated(KINDS[request.url].body, request.body)
    if isinstance(body, DecodingRequest) and body.stream:
        refusal = f"line {line.line}: stream is true, and a line has one answer; leave it out"
        raise Unusable(refusal, "unsupported_field", "stream")
    return body


def check_beginning(lines: Iterable[Line], source: Path, settings: ServerSettings) -> None:
    """Refuse a file of whose first ten lines none can be answered, whatever the model: it is the wrong file,
    or of another model. Raises ``UsageError``."""
    first = list(islice(lines, _FIRST))
    wrong = [_wrong(line, settings) for line in first]
    if all(wrong):
        raise UsageError(f"none of the first {len(first)} lines of {source} can be answered: {wrong[0]}")


def _wrong(line: Line, settings: ServerSettings) -> str | None:
    """Why no model that the settings name answers the line; None where one may."""
    try:
        read = named(line, most=settings.max_body)
        body = body_of(as_request(read, urls=KINDS), read)
    except Unusable as exc:
        return exc.message
    except WrongBody as exc:
        return f"line {line.number}: {exc.problem.message}"
    asked, name = getattr(body, "model", None), settings.served_model_name or name_at(settings)
    if asked is None or asked == name:
        return None
    return (
        f"line {line.number} is for the model {shown(asked)}, and {name!r} is to answer; load that one, or "
        "let --served-model-name say that it is this one"
    )
