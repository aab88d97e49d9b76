"""How an exception survives a process: what it is pickled as, and how it comes back.

A process pool hangs or loses the message where an error cannot be pickled, or cannot be made again from what
was pickled. So nothing that an error carries may stop it: what cannot travel arrives as text.
"""

from __future__ import annotations

import contextlib
import pickle
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target

__all__ = ["reduced"]

_Error = TypeVar("_Error", bound=Exception)


@dataclass(frozen=True, slots=True)
class _Packed:
    """One thing that an error carries: its pickle, None where it has none, and what to say in its place."""

    data: bytes | None
    text: str

    @classmethod
    def of(cls, value: object, text: str) -> _Packed:
        try:
            return cls(pickle.dumps(value), text)
        except BaseException as exc:  # objects of others may raise anything here
            fault_of(exc)
            return cls(None, text)

    def value(self) -> Any:
        """The thing again. Raises ``LookupError`` where it did not survive."""
        if self.data is None:
            raise LookupError(self.text)
        try:
            return pickle.loads(self.data)
        except BaseException as exc:  # such as a class whose __init__ wants more than its args
            raise LookupError(self.text) from fault_of(exc)

    def value_or_text(self) -> Any:
        try:
            return self.value()
        except LookupError:
            return self.text


def reduced(error: _Error, root: type[_Error]) -> tuple[Callable[..., Exception], tuple[Any, ...]]:
    """What ``error.__reduce__`` returns: it comes back with its type, message, args, data, notes and cause.

    A class that the other process cannot import is replaced by the next of its bases that can, down to
    ``root``; a value by its ``repr``; a cause by a note that tells it in one line.
    """
    kinds = [
        f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__ if issubclass(kind, root)
    ]
    args = tuple(_packed(arg) for arg in error.args)
    carried = {name: _packed(value) for name, value in error.__dict__.items()}
    cause = error.__cause__
    told = None if cause is None else _Packed.of(cause, one_line(cause))
    return _restored, (kinds, args, carried, told, error.__suppress_context__)


def _packed(value: object) -> _Packed:
    return _Packed.of(value, reprlib.repr(value))


def _restored(
    kinds: list[str],
    args: tuple[_Packed, ...],
    carried: dict[str, _Packed],
    cause: _Packed | None,
    suppress_context: bool,
) -> Exception:
    values = tuple(arg.value_or_text() for arg in args)
    kind = _first_importable(kinds)
    error = kind.__new__(kind, *values)
    error.args = values
    error.__dict__.update({name: packed.value_or_text() for name, packed in carried.items()})
    if cause is not None:
        try:
            error.__cause__ = cause.value()
        except LookupError:
            error.add_note(f"caused by {cause.text}")
    error.__suppress_context__ = suppress_context
    return error


def _first_importable(kinds: list[str]) -> type[Exception]:
    for target in kinds:
        with contextlib.suppress(Exception):
            kind = load_target(target)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind
    raise AssertionError("the root of the tree can be imported")
