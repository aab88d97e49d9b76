"""From whatever went wrong to the status and the JSON that the client sees.

An error about the request was made for who sent it and says what to do, so its words are sent. Everything
else, what the code of others raised in a row and what may name files of this machine, is told as an internal
error with the request's id, under which the log has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llada_core.errors import (
    AlgorithmUnavailable,
    ContractError,
    GenerationError,
    IncompatibleAlgorithm,
    LladaError,
    ModelNotReady,
    NoProgress,
    NumericalError,
    ParameterError,
    PromptError,
    TokenizerMissing,
    UnknownAlgorithm,
    UsageError,
)
from llada_core.values import shortened
from llada_server.http.wire.problem import Problem, ProblemDetail
from llada_server.scheduler.work import Broken, Closing, Full

__all__ = ["Fields", "HttpProblem", "Late", "problem_of", "validation_problem"]

_LONGEST, _LONGEST_NAME = 1000, 200  # characters
INVALID = "invalid_request_error"
_NO_TOKENIZER = "the served model has no tokenizer; give token ids, and ask for no text of them"
_NO_BODY = "the body is no JSON object; send one, with Content-Type: application/json"
_NO_OBJECT = frozenset({"missing", "model_attributes_type", "model_type", "dict_type"})
_PLACES = frozenset({"body", "query", "path"})
_OURS = frozenset({"invalid_field", "unsupported_field", "value_error"})  # kinds of errors with our words
_TYPES = frozenset({"str", "int", "float", "bool", "dict", "list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a request calls its parts, for errors that are about them.

    Attributes:
        asked: the field that holds what is to be answered.
        named: the one that names the algorithm.
        length: the one that says how long the answer may be.
    """

    asked: str = "prompt"
    named: str = "generation_algorithm"
    length: str = "gen_length"


class Late(LladaError):
    """A request took longer than the server allows."""


@dataclass(slots=True, eq=False)
class HttpProblem(Exception):
    """An answer other than 200. ``headers`` go with it. What it repeats of the request is shortened."""

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.message = shortened(self.message, _LONGEST)
        self.param = None if self.param is None else shortened(self.param, _LONGEST_NAME)
        Exception.__init__(self, self.message)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        detail = ProblemDetail(message=self.message, type=self.type, param=self.param, code=self.code)
        return Problem(error=detail).model_dump()


_FIELDS = Fields()


def problem_of(error: BaseException, *, request_id: str, fields: Fields = _FIELDS) -> HttpProblem:
    """What the client of a request with these ``fields`` is told of ``error``."""
    match error:
        case HttpProblem():
            return error
        case Full() | Closing() | Broken() | Late() | ModelNotReady():
            return _busy(error)
        case ParameterError():
            param = fields.length if error.parameter == "gen_length" else error.parameter
            return HttpProblem(400, str(error), param=param, code="invalid_parameter")
        case UnknownAlgorithm():
            return HttpProblem(400, str(error), param=fields.named, code="unknown_algorithm")
        case IncompatibleAlgorithm() | AlgorithmUnavailable():
            return HttpProblem(400, str(error), param=fields.named, code="algorithm_unavailable")
        case PromptError():
            return HttpProblem(400, str(error), param=fields.asked, code="invalid_prompt")
        case TokenizerMissing():
            return HttpProblem(400, _NO_TOKENIZER, param=fields.asked, code="invalid_prompt")
        case UsageError():
            return HttpProblem(400, str(error), code="invalid_request")
    code = "generation_failed" if isinstance(error, GenerationError) else "internal_error"
    if _is_for_users(error):
        return HttpProblem(500, str(error), type="server_error", code=code)
    who = getattr(error, "algorithm", None) or "the server"
    told = f"{who} failed at this request; the server's log tells more under the request id {request_id}"
    return HttpProblem(500, told, type="server_error", code=code)


def _is_for_users(error: BaseException | None) -> bool:
    """Whether an error's words are ours, were made for who sent the request, and hold no path.

    A row's error repeats what it failed of, which may be somebody else's code; a contract's is told to that
    code's author, and one of a checkpoint or a plugin to who runs the server.
    """
    if isinstance(error, NumericalError | NoProgress):
        return True
    if isinstance(error, GenerationError):
        return not isinstance(error, ContractError) and _is_for_users(error.__cause__)
    return isinstance(error, UsageError | AlgorithmUnavailable)


def _busy(error: Full | Closing | Broken | Late | ModelNotReady) -> HttpProblem:
    """What has nothing to do with the request itself."""
    if isinstance(error, Full):
        return HttpProblem(
            429, str(error), type="rate_limit_error", code="queue_full", headers={"Retry-After": "1"}
        )
    if isinstance(error, Closing | ModelNotReady):
        code = "closing" if isinstance(error, Closing) else "model_not_ready"
        return HttpProblem(503, str(error), type="server_error", code=code, headers={"Retry-After": "5"})
    if isinstance(error, Broken):
        return HttpProblem(500, str(error), type="server_error", code="internal_error")
    # A client would ask for the same again, and wait as long.
    headers = {"x-should-retry": "false"}
    return HttpProblem(504, str(error), type="server_error", code="timeout", headers=headers)


def validation_problem(errors: Sequence[Mapping[str, Any]]) -> HttpProblem:
    """What is wrong with a body, from pydantic's ``errors``: the first of them, with the field it is about.

    Values are not repeated: they may be the user's text.
    """
    first = errors[0]
    context, path = first.get("ctx", {}), list(first["loc"])
    if path and path[0] in _PLACES:
        del path[0]
    if first["type"] == "json_invalid":
        return HttpProblem(400, f"the body is no JSON ({context['error']}); correct it", code="invalid_json")
    if not path and first["type"] in _NO_OBJECT:
        return HttpProblem(400, _NO_BODY, code="invalid_json")
    path += [context["key"]] if "key" in context else []
    name = context.get("field") or _dotted(path, wrong_key=first["type"] == "extra_forbidden")
    code = "unsupported_field" if first["type"] == "unsupported_field" else "invalid_field"
    return HttpProblem(400, _words(first, name), param=name or None, code=code)


def _words(error: Mapping[str, Any], name: str) -> str:
    """What is wrong with the field, and what to do, which pydantic's own messages leave open."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{name} is no field of this object; leave it out"
    if error["type"] == "missing":
        return f"{name} is missing; give it"
    if error["type"] in _OURS:
        told = not name or re.search(rf"\b{re.escape(name)}\b", message)
        return message if told else f"{name}: {message}"
    said = message.replace(" after validation", "")
    if not said.startswith("Input "):
        said = f"is wrong: {said[:1].lower()}{said[1:]}"
    return f"{name or 'the body'} {said.removeprefix('Input ')}; correct it"


def _dotted(path: Sequence[object], *, wrong_key: bool = False) -> str:
    """``messages[0].content`` from its parts; names of the types of a union are left out.

    ``wrong_key``: the last part is a key of the client's, whatever it looks like.
    """
    told = ""
    for index, part in enumerate(path, 1):
        if isinstance(part, int):
            told += f"[{part}]"
        elif (wrong_key and index == len(path)) or _is_field(str(part)):
            told += f".{part}" if told else str(part)
    return told


def _is_field(part: str) -> bool:
    return part.isidentifier() and part not in _TYPES and not part[0].isupper()
