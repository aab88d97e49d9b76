"""From bodies to requests: what takes long is done beside the event loop, and nothing takes very long.

A thread is not enough: who parses and validates in C or Rust lets nobody else run meanwhile. So a body may
hold only so many values, and lists of the requests are bounded by what is on the wire.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from llada_server.http.problems import HttpProblem, validation_problem

__all__ = ["MOST_FIELDS", "MOST_VALUES", "ParsedRoute", "WrongBody", "check_whole", "validated", "value_of"]

MOST_VALUES, MOST_FIELDS = 2**17, 2**15
"""Numbers, texts, lists and so on that a body may hold, and fields of its objects."""
_LARGE = 2**14  # bytes; shorter ones take some milliseconds at most
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

_Body = TypeVar("_Body", bound=BaseModel)
_Place: TypeAlias = "tuple[()] | tuple[_Place, str | int]"


class WrongBody(HTTPException):
    """A body that is refused; ``problem`` is what its client is told.

    It is an ``HTTPException``, which the framework passes on where it reads bodies.
    """

    def __init__(self, problem: HttpProblem) -> None:
        super().__init__(problem.status, problem.message)
        self.problem = problem


class ParsedRoute(APIRoute):
    """A path whose function takes the ``body``, a model."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, model = super().get_route_handler(), get_type_hints(self.endpoint)["body"]

        async def parsed(request: Request) -> Response:
            return await handle(_Parsed(request, model))

        return parsed


class _Parsed(Request):
    """A request whose body the framework asks for by ``json``, to make it a ``model``."""

    def __init__(self, request: Request, model: type[BaseModel]) -> None:
        super().__init__(request.scope, request.receive)
        self._model = model

    async def json(self) -> Any:
        """The body; a large one is the model already, made in another thread. Raises ``WrongBody``."""
        body = await self.body()
        if len(body) <= _LARGE:
            return _value(body)
        return await run_in_threadpool(lambda: validated(self._model, _value(body)))


def validated(model: type[_Body], value: object) -> _Body:
    """The request that JSON's ``value`` is. Raises ``WrongBody``."""
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise WrongBody(validation_problem(exc.errors(include_url=False, include_input=False))) from exc


def _value(body: bytes) -> Any:
    """What the JSON says. Raises ``JSONDecodeError``, ``UnicodeDecodeError`` and ``WrongBody``."""
    text = body.decode(json.detect_encoding(body))
    value = value_of(text)
    check_whole(value, text)
    return value


def value_of(text: str) -> Any:
    """What the JSON says. Raises ``JSONDecodeError``, and ``WrongBody`` for one that holds too much."""
    if len(text) > _LARGE and _many(text):
        told = f"the body holds more than {MOST_VALUES} values or {MOST_FIELDS} fields; send less"
        raise WrongBody(HttpProblem(413, told, code="request_too_large"))
    return json.loads(text)


def _many(text: str) -> bool:
    """Whether it holds too many values or fields; brackets, commas and colons in texts are none."""
    if not _exceeds(text):
        return False
    # Each value has a text or two: its own, and its key. Too many are not looked at one by one.
    return text.count('"') - text.count('\\"') > 4 * MOST_VALUES or _exceeds(_TEXT.sub("", text))


def _exceeds(marks: str) -> bool:
    return sum(map(marks.count, "[{,")) > MOST_VALUES or marks.count(":") > MOST_FIELDS


def check_whole(value: object, text: str) -> None:
    """Refuse halves of characters, which are no text: ``"\\ud800"``. Raises ``WrongBody``.

    ``text`` is the JSON that ``value`` is in.
    """
    if _SURROGATE.search(text) is None:
        return
    left: deque[tuple[_Place, Any]] = deque([((), value)])  # a place is that of what holds it, and its key
    while left:
        place, each = left.popleft()
        if isinstance(each, str):
            _check_text(each, place)
        elif isinstance(each, list):
            left.extend(((place, index), part) for index, part in enumerate(each))
        elif isinstance(each, dict):
            for key, part in each.items():
                _check_text(key, (place, key))
                left.append(((place, key), part))


def _check_text(text: str, place: _Place) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        name = _name(place)
        told = f"{name} holds half a character, a lone surrogate; give whole ones"
        raise WrongBody(HttpProblem(400, told, param=name or None, code="invalid_field")) from exc


def _name(place: _Place) -> str:
    parts: list[str] = []
    while place:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")
