"""How a value that is not what was wanted is told in an error, without fail. Imports no torch."""

from __future__ import annotations

import reprlib
from typing import Any, cast

from llada_core.faults import fault_of, one_line

__all__ = ["is_array", "shortened", "shown", "told"]


def is_array(value: object) -> bool:
    """Whether this is a tensor or an array, told by what it offers."""
    return all(hasattr(value, name) for name in ("dtype", "shape", "tolist")) and not isinstance(value, type)


def told(value: object) -> str:
    """What somebody's code returned in the place of something else: its kind, and a scalar itself."""
    try:
        return _told(value)
    except BaseException as exc:  # its attributes and its length are foreign code too
        fault_of(exc)
        return f"a {type(value).__name__}"


def shown(value: object) -> str:
    """What somebody gave in the place of something else: itself, shortened, and its type."""
    kind = type(value).__name__
    try:
        return f"{reprlib.repr(value)} ({kind})"
    except BaseException as exc:  # its __repr__ is foreign code too
        return f"an object of {kind}, whose repr raises {one_line(fault_of(exc))}"


def shortened(text: str, most: int) -> str:
    """Text of others as it may be told or logged: at most so many characters, without its middle where it has
    more, and such that it can be encoded."""
    for _ in range(2):  # characters that cannot be encoded get longer
        if len(text) > most:
            half = (most - 1) // 2
            text = f"{text[:half]}…{text[len(text) - half :]}"
        text = text.encode("utf-8", "backslashreplace").decode()
    return text[:most]


def _told(value: object) -> str:
    if is_array(value):
        return _array(cast("Any", value))
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, bool | int | float | str | None):
        return reprlib.repr(value)
    sized = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{sized}"


def _array(array: Any) -> str:
    device = getattr(array, "device", None)
    where = "" if device is None else f" on {device}"
    return f"a tensor {list(array.shape)} of {str(array.dtype).removeprefix('torch.')}{where}"
