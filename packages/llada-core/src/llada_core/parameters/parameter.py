"""What one decoding parameter accepts. This module does not know what a parameter does to decoding."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llada_core.errors import InvalidSpec, ParameterError
from llada_core.parameters.reserved import why_reserved

__all__ = ["Parameter"]

_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One decoding parameter: its type, range, default and other names.

    ``kind`` is ``int``, ``float``, ``bool`` or ``str``; an int is accepted where a float is wanted, a bool
    never stands for a number, and NaN and infinities are refused. ``coerce`` maps values of another type onto
    accepted ones. The default gives way to None when one of ``default_unless`` is given explicitly and is not
    None. ``neutral`` are the values that ask for nothing: an algorithm that does not take a standard
    parameter accepts it at one of these. ``examples`` are values that checks try besides those that follow
    from the range: of a string without choices they know none. A declaration that contradicts itself raises
    ``InvalidSpec``.
    """

    name: str
    kind: type[int] | type[float] | type[bool] | type[str]
    default: int | float | bool | str | None = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    nullable: bool = False
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    coerce: Mapping[Any, Any] = field(default_factory=dict, hash=False)
    default_unless: tuple[str, ...] = ()
    neutral: tuple[int | float | bool | str | None, ...] = ()
    examples: tuple[int | float | bool | str, ...] = ()
    summary: str = ""

    def __post_init__(self) -> None:
        problem = self._contradiction()
        if problem is not None:
            raise InvalidSpec(f"parameter {self.name!r}: {problem}")
        self._check_own("the default", self.default)
        for what, values in (("a neutral value", self.neutral), ("an example", self.examples)):
            for value in values:
                self._check_own(what, value)

    def _check_own(self, what: str, value: object) -> None:
        try:
            self.check(value)
        except ParameterError as exc:
            if value is None:
                raise InvalidSpec(
                    f"parameter {self.name!r}: {what} is None, and None is not accepted; "
                    "give a default, or nullable=True"
                ) from exc
            raise InvalidSpec(f"parameter {self.name!r}: {what} is not accepted: {exc}") from exc

    def _contradiction(self) -> str | None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            return "the name is not an identifier; use letters, digits and '_'"
        if self.kind not in _KINDS:
            return f"kind must be int, float, bool or str, not {self.kind!r}"
        for field_name in ("aliases", "choices", "default_unless"):
            values = getattr(self, field_name)
            if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
                return f"{field_name} must be a tuple of strings, not {values!r}"
        if len(set(self.names)) < len(self.names):
            return "the aliases must differ from the name and from each other"
        for field_name in ("neutral", "examples"):
            if not isinstance(values := getattr(self, field_name), tuple):
                return f"{field_name} must be a tuple of values, not {values!r}"
        for reserved in filter(None, map(why_reserved, self.names)):
            return reserved
        if self.choices and self.kind is not str:
            return "choices are for strings; give minimum and maximum"
        return self._range_contradiction()

    def _range_contradiction(self) -> str | None:
        if self.kind not in (int, float) and (self.minimum, self.maximum) != (None, None):
            return "a range is for numbers; give choices"
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            return f"the minimum {_plain(self.minimum)} is above the maximum {_plain(self.maximum)}"
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The name followed by the aliases."""
        return (self.name, *self.aliases)

    @property
    def expected(self) -> str:
        """What a value may be, in words, such as ``an integer from 1 to 1024``."""
        words = "one of " + ", ".join(self.choices) if self.choices else _KINDS[self.kind] + self._range()
        return f"{words}, or none" if self.nullable else words

    def check(self, value: object) -> int | float | bool | str | None:
        """The accepted form of ``value``; ``ParameterError`` if it has the wrong type or is out of range."""
        if value is None and self.nullable:
            return None
        for raw, accepted in self.coerce.items():
            if type(raw) is type(value) and raw == value:
                value = accepted
        converted = self._convert(value)
        if converted is None:
            raise self._refusal(value, "has the wrong type")
        if not self._in_range(converted):
            raise self._refusal(value, "is not accepted" if self.choices else "is out of range")
        return converted

    def accepts(self, value: object) -> bool:
        """Whether ``check`` takes the value."""
        try:
            self.check(value)
        except ParameterError:
            return False
        return True

    def is_neutral(self, value: object) -> bool:
        """Whether the value is accepted and one of the ``neutral`` ones."""
        return self.accepts(value) and self.check(value) in self.neutral

    def as_dict(self) -> dict[str, object]:
        """The declaration in JSON types."""
        return {
            "name": self.name,
            "kind": self.kind.__name__,
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusive_minimum": self.exclusive_minimum,
            "nullable": self.nullable,
            "aliases": list(self.aliases),
            "choices": list(self.choices),
            "default_unless": list(self.default_unless),
            "neutral": list(self.neutral),
            "summary": self.summary,
        }

    def _range(self) -> str:
        low, high = _plain(self.minimum), _plain(self.maximum)
        if low and high:
            return f" {'above' if self.exclusive_minimum else 'from'} {low} to {high}"
        if low:
            return f" above {low}" if self.exclusive_minimum else f", {low} or more"
        return f", at most {high}" if high else ""

    def _convert(self, value: object) -> int | float | bool | str | None:
        """``value`` as ``kind``, or None where the type is wrong."""
        if isinstance(value, bool) or self.kind is bool:
            return value if isinstance(value, bool) and self.kind is bool else None
        if self.kind is float and isinstance(value, int):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        return value if isinstance(value, self.kind) else None

    def _in_range(self, value: int | float | bool | str) -> bool:
        if isinstance(value, str):
            return not self.choices or value in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if self.minimum is not None and (
            value < self.minimum or (self.exclusive_minimum and value == self.minimum)
        ):
            return False
        return self.maximum is None or value <= self.maximum

    def _refusal(self, value: object, problem: str) -> ParameterError:
        message = f"{self.name}={reprlib.repr(value)} {problem}; give {self.expected}"
        return ParameterError(message, parameter=self.name, value=value)


def _plain(bound: float | None) -> str:
    if bound is None:
        return ""
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
