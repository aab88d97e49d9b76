"""What the signature of a ``generate`` says: which parameters it takes, and whether it is told of padding.

For algorithms that declare nothing. This module does not know what any parameter means.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llada_core.errors import InvalidSpec
from llada_core.parameters import STANDARD, Parameter

__all__ = [
    "Undeclared",
    "depth",
    "parameters_of",
    "rows_of_a_call",
    "takes_all",
    "takes_mask",
    "why_not_called",
]

_MASK = "attention_mask"
_PLACES = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ONCE = ("gen_length", "block_length", "steps", "temperature", "remasking", "threshold", "factor")
"""What a ``**kwargs`` stands for: the parameters that every algorithm was called with when there were no
declarations."""


class Undeclared:
    """Stands for the ``parameters`` of a class that declares none: what its own ``generate`` takes.

    Those ``known`` from the class above, of which it takes what it names, are as they were declared there.
    Without a ``generate`` of its own, as a step algorithm, it takes these.
    """

    def __init__(self, known: tuple[Parameter, ...] = ()) -> None:
        self._known = known

    def __get__(self, instance: object, owner: Any) -> tuple[Parameter, ...]:
        whole = not getattr(owner.generate, "__isabstractmethod__", False) and not owner.yields_steps()
        if not whole or (self._known and takes_all(owner.generate)):
            return self._known
        return parameters_of(owner.generate, owner=owner.__name__, known=self._known)


def depth(cls: type, name: str) -> int | None:
    """How far up among the bases of ``cls`` the first is that defines ``name``."""
    return next((at for at, base in enumerate(cls.__mro__) if name in vars(base)), None)


def takes_all(generate: Callable[..., Any]) -> bool:
    """Whether ``generate`` takes any keyword."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(generate).parameters.values())


def why_not_called(generate: Callable[..., Any], names: Collection[str], *, owner: str) -> str | None:
    """Why the ``generate`` of an object cannot be called with parameters of these ``names``, ending with the
    remedy; None where it can."""
    taken = inspect.signature(generate).parameters
    places = [each for each in taken.values() if each.kind in _PLACES]
    if len(places) < 2 and not any(each.kind is each.VAR_POSITIONAL for each in taken.values()):
        return f"{owner}.generate takes no model and prompt; write generate(self, model, prompt, …)"
    refused = [] if takes_all(generate) else [name for name in names if name not in taken]
    if refused:
        which = "it" if len(refused) == 1 else "them"
        return (
            f"{owner}.generate takes no {' and no '.join(refused)}; name {which}, add **params, or declare "
            "parameters = (…), those that it takes"
        )
    needed = _needed(taken.values(), {_MASK, *names, *(each.name for each in places[:2])})
    return needed and f"{owner}.generate needs {needed}, which no call would give; give it a default"


def _needed(taken: Iterable[inspect.Parameter], given: Collection[str]) -> str | None:
    """The first that has no default and is not ``given``."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = (each for each in taken if each.kind not in kinds and each.default is each.empty)
    return next((each.name for each in named if each.name not in given), None)


def takes_mask(generate: Callable[..., Any]) -> bool:
    """Whether ``generate`` names ``attention_mask``, and so can be given rows of different lengths."""
    return _MASK in inspect.signature(generate).parameters


def rows_of_a_call(generate: Callable[..., Any], prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which of ``prompts`` share a call of ``generate``: all, or those of one length where it is not told of
    padding."""
    if takes_mask(generate):
        return [list(range(len(prompts)))]
    groups: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(len(prompt), []).append(row)
    return list(groups.values())


def parameters_of(
    generate: Callable[..., Any], *, owner: str, known: Iterable[Parameter] = ()
) -> tuple[Parameter, ...]:
    """The parameters that an undeclared function ``generate(self, model, prompt, …)`` takes.

    Those that it names, ``known`` and standard ones with its own default if it has one, others of the kind of
    their default; and with ``**kwargs`` the seven of old. Raises ``InvalidSpec`` for a parameter of which
    nobody could know what it accepts, and for a default that is not accepted.
    """
    named = inspect.signature(generate).parameters.values()
    table = {**STANDARD, **{parameter.name: parameter for parameter in known}}
    found = {each.name: each for each in _declared(list(named)[3:], table, owner)}
    if takes_all(generate):
        found = {name: found.get(name, STANDARD[name]) for name in _ONCE} | found
    return tuple(found.values())


def _declared(
    named: Sequence[inspect.Parameter], table: Mapping[str, Parameter], owner: str
) -> Iterator[Parameter]:
    for each in named:
        if each.name == _MASK or each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
            continue
        if each.name in table:
            yield _known(each, table[each.name])
        elif isinstance(each.default, bool | int | float | str):
            yield Parameter(name=each.name, kind=type(each.default), default=each.default)
        else:
            raise InvalidSpec(_untold(each, owner))


def _untold(named: inspect.Parameter, owner: str) -> str:
    """What to say of a parameter that does not tell what it accepts."""
    name = named.name
    if named.default is named.empty:
        problem = f"{owner}.generate needs {name}, which no call would give; give it a default, or declare"
        return f"{problem} parameters = (Parameter(name={name!r}, …), …)"
    return (
        f"{owner}.generate has {name}={reprlib.repr(named.default)}, which does not tell its kind; declare "
        f"parameters = (Parameter(name={name!r}, kind=…, nullable=True), …), or only what calls may give"
    )


def _known(named: inspect.Parameter, known: Parameter) -> Parameter:
    """The known parameter, with the default of the signature, which then gives way to nothing."""
    if named.default is named.empty or (named.default is None and not known.nullable):
        return known
    if named.default is None:
        return replace(known, default=None, default_unless=())
    if not known.accepts(named.default):  # to be refused, and told as a declaration would be
        return replace(known, default=named.default)
    return replace(known, default=known.check(named.default), default_unless=())
