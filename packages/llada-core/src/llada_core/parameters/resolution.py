"""How the values of a call become effective values: ``resolve`` is the one place where they are checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from llada_core.errors import ParameterError, UsageError
from llada_core.names import closest
from llada_core.parameters.parameter import Parameter

__all__ = [
    "block_count",
    "parameters_of_row",
    "parse_assignments",
    "resolve",
    "whole_steps",
]


def resolve(
    parameters: Iterable[Parameter], given: Mapping[str, object], *, algorithm: str
) -> dict[str, object]:
    """The effective values of a call, by canonical name, in the order of ``parameters``.

    ``given`` holds what the caller passed, under names or aliases; what is absent takes its default. Raises
    ``ParameterError`` for an unknown name, a parameter given twice, a wrong type or a value out of range.
    """
    declared = tuple(parameters)
    explicit = _canonical(declared, given, algorithm)
    try:
        checked = {name: _named(declared, name).check(value) for name, value in explicit.items()}
    except ParameterError as exc:
        raise ParameterError(f"{algorithm}: {exc}", parameter=exc.parameter, value=exc.value) from exc
    chosen = {name for name, value in checked.items() if value is not None}
    return {p.name: checked[p.name] if p.name in checked else _default(p, chosen) for p in declared}


def _canonical(
    declared: tuple[Parameter, ...], given: Mapping[str, object], algorithm: str
) -> dict[str, object]:
    canonical = {name: parameter.name for parameter in declared for name in parameter.names}
    spelled: dict[str, str] = {}
    for name, value in given.items():
        if name not in canonical:
            raise _unknown(name, value, declared, algorithm)
        first = spelled.setdefault(canonical[name], name)
        if first != name:
            message = f"{algorithm}: {first} and {name} are one parameter; give only one of them"
            raise ParameterError(message, parameter=canonical[name], value=value)
    return {name: given[spelling] for name, spelling in spelled.items()}


def _unknown(name: str, value: object, declared: tuple[Parameter, ...], algorithm: str) -> ParameterError:
    takes = ", ".join(parameter.name for parameter in declared) or "no parameters"
    near = closest(name, [known for parameter in declared for known in parameter.names])
    hint = f"did you mean {near[0]}? It takes" if near else "it takes"
    message = f"{algorithm} does not take {name}; {hint} {takes}"
    return ParameterError(message, parameter=name, value=value)


def _named(declared: tuple[Parameter, ...], name: str) -> Parameter:
    return next(parameter for parameter in declared if parameter.name == name)


def _default(parameter: Parameter, chosen: set[str]) -> int | float | bool | str | None:
    return None if chosen.intersection(parameter.default_unless) else parameter.default


def parameters_of_row(given: Mapping[str, object], row: int) -> Mapping[str, object]:
    """The parameters of prompt ``row`` of a list: each draws from a seed of its own, ``seed + row``.

    Equal prompts of one call are then answered differently.
    """
    seed = given.get("seed")
    return {**given, "seed": seed + row} if type(seed) is int else given


def block_count(params: Mapping[str, Any]) -> int:
    """How many blocks of ``block_length`` the ``gen_length`` of effective ``params`` takes."""
    return -(-int(params["gen_length"]) // int(params["block_length"]))


def whole_steps(params: Mapping[str, Any], steps: int) -> int:
    """``steps`` rounded up to a multiple of the blocks."""
    blocks = block_count(params)
    return -(-steps // blocks) * blocks


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """The values of ``name=value`` words, as a command line gives them.

    A value is read as a JSON literal where it is one (``none``, ``true`` and ``false`` too, in any case) and
    is a string otherwise. Raises ``UsageError`` for a word without ``=`` and for a name given twice.
    """
    values: dict[str, object] = {}
    for word in assignments:
        name, separator, text = word.partition("=")
        name = name.strip()
        if not separator or not name:
            raise UsageError(f"{word!r} is not an assignment; write name=value, such as threshold=0.9")
        if name in values:
            raise UsageError(f"{name} is given twice; give it once")
        values[name] = _literal(text.strip())
    return values


def _literal(text: str) -> object:
    words: dict[str, object] = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text
