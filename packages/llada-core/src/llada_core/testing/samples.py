"""Values to try of a parameter: its default, its bounds, its choices, and some between. Torch is not needed.

A value may be refused beside the defaults of others and accepted beside other values of theirs, as the weight
of what is switched off: ``settings`` looks for such a place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from llada_core.errors import ParameterError
from llada_core.parameters import Parameter

__all__ = ["Beside", "Setting", "bounds_of", "is_taken", "setting_with", "settings", "values_of", "varied"]

Setting = dict[str, Any]
"""Parameters by name, as a call gives them."""

Beside = Callable[[str], Mapping[str, Any]]
"""What is given besides, where the parameter of this name is tried."""

_SMALL = 1e-3
_NUMBERS: Mapping[type, tuple[float, ...]] = {int: (2, 4, 1, 0, 3), float: (0.5, 0.8, 0.3, 0.95, 0.05)}


def bounds_of(parameter: Parameter) -> list[Any]:
    """The default, each choice, both bounds, and None where it is accepted; each once."""
    if parameter.kind is bool:
        found: list[Any] = [True, False]
    elif parameter.choices:
        found = list(parameter.choices)
    else:
        found = [_lowest(parameter), parameter.maximum]
        found = [parameter.kind(each) for each in found if each is not None]
    given = [parameter.default, *found, *([None] if parameter.nullable else [])]
    return _distinct(value for value in given if parameter.accepts(value))


def values_of(parameter: Parameter) -> list[Any]:
    """Values among which two should differ in what they do, the likelier ones first."""
    between = [parameter.kind(each) for each in _NUMBERS.get(parameter.kind, ())]
    accepted = [value for value in between if parameter.accepts(value)]
    usual = [*accepted[:2], *bounds_of(parameter), *accepted[2:], *_near(parameter)]
    return _distinct([*parameter.examples, *usual])


def _near(parameter: Parameter) -> list[Any]:
    """Numbers beside the default and the bounds, for a range that holds none of the usual ones."""
    if parameter.kind not in _NUMBERS:
        return []
    default: Any = parameter.default
    found = [] if default is None else [default + 1, 2 * default]
    found += [] if parameter.minimum is None else [parameter.kind(parameter.minimum + 1)]
    found += [] if parameter.maximum is None else [parameter.kind(parameter.maximum - 1)]
    return [value for value in found if parameter.accepts(value)]


def _lowest(parameter: Parameter) -> float | None:
    if parameter.minimum is None or not parameter.exclusive_minimum:
        return parameter.minimum
    return parameter.minimum + (1 if parameter.kind is int else _SMALL)


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once; True is not 1."""
    return list({(type(value), value): value for value in values}.values())


def setting_with(
    takes: Callable[[Setting], object],
    parameters: Iterable[Parameter],
    base: Setting,
    parameter: Parameter,
    value: Any,
) -> Setting | None:
    """Of the settings that give ``parameter`` this ``value``, the first that is taken; None where none is."""
    for beside in settings(parameters, base, parameter):
        setting = {**beside, parameter.name: value}
        if is_taken(takes, setting):
            return setting
    return None


def is_taken(takes: Callable[[Setting], object], setting: Setting) -> bool:
    """Whether ``takes`` does not refuse it by ``ParameterError``."""
    try:
        takes(setting)
    except ParameterError:
        return False
    return True


def settings(
    parameters: Iterable[Parameter], base: Setting, besides: Parameter, *, most: int | None = None
) -> Iterator[Setting]:
    """``base``, then ``base`` with one other parameter at each of its values, or its ``most`` likeliest."""
    yield dict(base)
    for other in parameters:
        if other is not besides and other.name not in base:
            values = [value for value in values_of(other) if value != other.default]
            yield from ({**base, other.name: value} for value in values[:most])


def _nothing(name: str) -> Mapping[str, Any]:
    return {}


def varied(
    takes: Callable[[Setting], object],
    parameters: Iterable[Parameter],
    base: Setting,
    *,
    most: int,
    beside: Beside = _nothing,
) -> list[Setting]:
    """Up to ``most`` settings that ``takes`` does not refuse, each ``base`` with one other value of one
    parameter, what is to be given ``beside`` it, and further ones only where that needs it; a second value of
    a parameter comes after a first of each."""
    declared = list(parameters)
    others = [each for each in declared if each.name not in base]
    turns = itertools.zip_longest(
        *([(each, value) for value in values_of(each) if value != each.default] for each in others)
    )
    found: list[Setting] = []
    for parameter, value in filter(None, itertools.chain.from_iterable(turns)):
        if len(found) == most:
            break
        taken = setting_with(takes, declared, {**beside(parameter.name), **base}, parameter, value)
        found += [] if taken is None else [taken]
    return found
