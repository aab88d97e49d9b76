"""What is asked of one row by a method, or of all rows of a class by a class method, as ``combine`` and
``combine_all``.

A class defines one of the two, and is given the other one, which answers by it; so ``super()`` of either is
what the class above says. Which of them is asked is found where it is asked: that which the nearest class
defines, and of both the one of all rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llada_core.errors import ContractError

__all__ = ["answers_for_all", "owner_of", "pair"]

_Call = Callable[..., Any]


def pair(kind: type, root: type, hook: str, *, one: _Call, each: _Call, arguments: str) -> None:
    """Give ``kind``, and classes above it that are no ``root``, the ``hook`` where they define only
    ``hook``_all, and that where they define only the ``hook``.

    A mixin that is no ``root`` has it only in classes that are one: to all others it is as it was.

    Args:
        one: answers for one row, of the class method and what the ``hook`` is given, its object first.
        each: answers for all, of what the ``hook`` is of an object, and what the class method is given.
        arguments: those of the class method, to tell how it is written.

    Raises ``ContractError`` where ``hook``_all is no class method.
    """
    every = f"{hook}_all"
    for owner in kind.__mro__[: kind.__mro__.index(root)]:
        own = _own(owner, every)
        if own is not None and not isinstance(own, classmethod):
            raise ContractError(
                f"{owner.__name__}.{every} is no class method, and one class sees all rows; "
                f"write @classmethod def {every}(cls, {arguments})"
            )
        if own is None and _own(owner, hook) is not None:
            _give(owner, root, every, classmethod(_by_each(owner, hook, each, getattr(root, every).__func__)))
        elif own is not None and _own(owner, hook) is None:
            _give(owner, root, hook, _by_all(owner, every, one, getattr(root, hook)))


def owner_of(kind: type, hook: str) -> type | None:
    """The nearest class of ``kind`` and those above it that defines the ``hook`` or ``hook``_all; None where
    none does."""
    every = f"{hook}_all"
    for each in kind.__mro__:
        if _own(each, hook) is not None or _own(each, every) is not None:
            return each
    return None


def answers_for_all(kind: type, hook: str, root: type) -> bool:
    """Whether a class, if it is of ``root``, answers for its rows at once; else it is asked for each."""
    owner = owner_of(kind, hook) if root in kind.__mro__ else None
    return owner not in (None, root) and _own(owner, f"{hook}_all") is not None


class _Given:
    """What a class was given; of a class that is no ``root``, what it has without it."""

    def __init__(self, owner: type, root: type, name: str, call: Any) -> None:
        self.owner, self.root, self.name, self.call = owner, root, name, call

    def __get__(self, asked: object, kind: type | None = None) -> Any:
        kind = type(asked) if kind is None else kind
        if self.root in kind.__mro__:
            return self.call.__get__(asked, kind)
        return getattr(super(self.owner, kind if asked is None else asked), self.name)


def _own(owner: type | None, name: str) -> Any:
    """What a class itself defines by this name; None for what it was given."""
    found = vars(owner).get(name)
    return None if isinstance(found, _Given) else found


def _give(owner: type, root: type, name: str, call: Any) -> None:
    there = vars(owner).get(name)
    if isinstance(there, _Given) and there.owner is owner:
        return
    try:
        setattr(owner, name, _Given(owner, root, name, call))
    except (AttributeError, TypeError):  # of Python's own, as str, whose replace is no answer for rows
        return


def _bound(owner: type, name: str, asked: object) -> Any:
    """What ``owner`` defines by this name, as ``asked`` has it."""
    own = vars(owner)[name]
    return own.__get__(asked, type(asked)) if hasattr(type(own), "__get__") else own


def _by_each(owner: type, hook: str, each: _Call, like: _Call) -> _Call:
    def of(asked: object) -> Any:
        return _bound(owner, hook, asked)

    @functools.wraps(like)
    def answer(cls: type, *given: Any, **named: Any) -> Any:
        return each(of, *given, **named)

    return answer


def _by_all(owner: type, every: str, one: _Call, like: _Call) -> _Call:
    @functools.wraps(like)
    def answer(self: object, *given: Any, **named: Any) -> Any:
        return one(_bound(owner, every, self), self, *given, **named)

    return answer
