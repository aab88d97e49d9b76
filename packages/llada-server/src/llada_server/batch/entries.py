"""From a line to the request that it holds, or to why it holds none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llada_server.batch.lines import Line
from llada_server.batch.wire import RequestLine, shown
from llada_server.http.parsing import WrongBody, check_whole, value_of
from llada_server.http.problems import HttpProblem, validation_problem

__all__ = ["Named", "Unusable", "as_request", "named"]


@dataclass(slots=True, eq=False)
class Unusable(Exception):
    """A line that nothing can be asked with; ``param`` is the field whose fault it is, if it is one's."""

    message: str
    code: str
    param: str | None = None

    def __post_init__(self) -> None:
        Exception.__init__(self, self.message)

    @classmethod
    def of(cls, line: int, problem: HttpProblem) -> Unusable:
        """One whose words are those of the server."""
        return cls(f"line {line}: {problem.message}", problem.code or "invalid_json", problem.param)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A line that is JSON and says what it is called; ``text`` is all of it."""

    line: int
    custom_id: str
    value: Mapping[str, Any]
    text: str


def named(line: Line, *, most: int) -> Named:
    """What the line says, if it says what it is called. Raises ``Unusable``."""
    number = line.number
    if line.text is None:
        told = f"line {number} is longer than {most} bytes; shorten it, or raise --max-body"
        raise Unusable(told, "request_too_large")
    try:
        text = line.text.decode()
        value = value_of(text)
    except UnicodeDecodeError as exc:
        told = f"line {number} is not UTF-8 (byte 0x{line.text[exc.start]:02x} at {exc.start}); write it so"
        raise Unusable(told, "invalid_json") from exc
    except WrongBody as exc:
        raise Unusable.of(number, exc.problem) from exc
    except (ValueError, RecursionError) as exc:
        said = getattr(exc, "msg", "nested too deeply" if isinstance(exc, RecursionError) else str(exc))
        raise Unusable(f"line {number} is no JSON ({said}); correct it", "invalid_json") from exc
    if not isinstance(value, dict):
        raise Unusable(f"line {number} is no JSON object; give one a line", "invalid_json")
    return Named(line=number, custom_id=_custom_id(value, number), value=value, text=text)


def _custom_id(value: Mapping[str, Any], number: int) -> str:
    given = value.get("custom_id")
    if isinstance(given, str) and given and not any("\ud800" <= each <= "\udfff" for each in given):
        return given
    told = "no custom_id" if given in (None, "") else "a custom_id that is no text"
    raise Unusable(f"line {number} has {told}; give each line its own, a text", "invalid_field", "custom_id")


def as_request(line: Named, *, urls: Collection[str]) -> RequestLine:
    """The request of a line, to one of these paths. Raises ``Unusable``."""
    beside = {name: value for name, value in line.value.items() if name != "body"}
    try:
        check_whole(beside, line.text)
        read = RequestLine.model_validate(line.value)
    except WrongBody as exc:
        raise Unusable.of(line.line, exc.problem) from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        inside = {**first, "loc": ("body", *first["loc"])}  # as the server reads it: what is in a body
        raise Unusable.of(line.line, validation_problem([inside])) from exc
    if read.url not in urls:
        refusal = f"line {line.line}: url is {shown(read.url)}; give one of {', '.join(urls)}"
        raise Unusable(refusal, "invalid_field", "url")
    return read
