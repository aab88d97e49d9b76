"""What is asked of one row by a method, or of all rows of a class by a class method, as ``combine`` and
``combine_all``.

A class defines one of the two, and has the other one by that. Each of its bases has both of its own, so that
``super()`` of either is what that base says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llada_core.errors import ContractError

__all__ = ["answers_for_all", "asks_each", "pair"]

_Call = Callable[..., Any]

_ASKS_EACH = "asks_each"
"""The mark of a class method that answers for all rows by asking for each."""


def pair(
    kind: type,
    root: type,
    hook: str,
    *,
    one: Callable[..., Any],
    each: Callable[..., Any],
    arguments: str,
) -> None:
    """Give ``kind``, and classes above it that are no ``root``, the ``hook`` where they define only
    ``hook``_all, and that where they define only the ``hook``.

    Args:
        one: answers for one row, of the class method and what the ``hook`` is given, its object first.
        each: answers for all, of what the ``hook`` is of an object, and what the class method is given.
        arguments: those of the class method, to tell how it is written.

    Raises ``ContractError`` where ``hook``_all is no class method.
    """
    for owner in kind.__mro__[: kind.__mro__.index(root)]:
        single, every = (vars(owner).get(name) for name in (hook, f"{hook}_all"))
        if every is not None and not isinstance(every, classmethod):
            raise ContractError(
                f"{owner.__name__}.{hook}_all is no class method, and one class sees all rows; "
                f"write @classmethod def {hook}_all(cls, {arguments})"
            )
        if single is not None and every is None:
            asks_each = _asks_each(single, each, getattr(root, f"{hook}_all").__func__)
            setattr(owner, f"{hook}_all", classmethod(asks_each))
        elif single is None and every is not None:
            setattr(owner, hook, _asks_all(every, one, getattr(root, hook)))


def answers_for_all(kind: type, hook: str, root: type) -> bool:
    """Whether a class, if it is of ``root``, answers for its rows at once; else it is asked for each."""
    return root in kind.__mro__ and not hasattr(getattr(kind, f"{hook}_all"), _ASKS_EACH)


def asks_each(method: _Call) -> _Call:
    """Mark what is to be a class method that no class needs to be asked by."""
    setattr(method, _ASKS_EACH, True)
    return method


def _asks_each(single: Any, each: _Call, like: _Call) -> _Call:
    def of(asked: object) -> Any:
        return single.__get__(asked, type(asked))

    @functools.wraps(like)
    def answer(cls: type, *given: Any, **named: Any) -> Any:
        return each(of, *given, **named)

    return asks_each(answer)


def _asks_all(every: Any, one: _Call, like: _Call) -> _Call:
    @functools.wraps(like)
    def answer(self: object, *given: Any, **named: Any) -> Any:
        return one(every.__get__(self, type(self)), self, *given, **named)

    return answer
