"""How the values of a call become effective values: ``resolve`` is the one place where they are checked."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llada_core.errors import ParameterError, UsageError
from llada_core.names import closest
from llada_core.parameters.parameter import Parameter
from llada_core.parameters.standard import STANDARD

__all__ = [
    "block_count",
    "check_early_stops",
    "parameters_of_row",
    "parse_assignments",
    "resolve",
    "spelled_out",
    "steps_a_block",
    "whole_steps",
]

_STANDARD = {name: parameter for parameter in STANDARD.values() for name in parameter.names}
_NOBODY: Mapping[str, Sequence[str]] = MappingProxyType({})
_NOTHING: Mapping[str, str] = MappingProxyType({})
_SEEDS = 2**64  # a generator's seeds are a ring


def resolve(
    parameters: Iterable[Parameter],
    given: Mapping[str, object],
    *,
    algorithm: str,
    takers: Mapping[str, Sequence[str]] = _NOBODY,
    absent: Mapping[str, str] = _NOTHING,
) -> dict[str, object]:
    """The effective values of a call, by canonical name, in the order of ``parameters``.

    ``given`` holds what the caller passed, under names or aliases; what is absent takes its default. A
    standard parameter that is none of ``parameters`` may be given at a neutral value, and is left out then;
    ``takers`` are the algorithms that take such a one, for the error, and ``absent`` says of other names
    why they are not taken. Raises ``ParameterError`` for an unknown name, a parameter given twice, a wrong
    type or a value out of range.
    """
    declared = tuple(parameters)
    explicit = _canonical(declared, given, algorithm, takers, absent)
    try:
        checked = {name: _named(declared, name).check(value) for name, value in explicit.items()}
    except ParameterError as exc:
        raise ParameterError(f"{algorithm}: {exc}", parameter=exc.parameter, value=exc.value) from exc
    chosen = {name for name, value in checked.items() if value is not None}
    return {p.name: checked[p.name] if p.name in checked else _default(p, chosen) for p in declared}


def _canonical(
    declared: tuple[Parameter, ...],
    given: Mapping[str, object],
    algorithm: str,
    takers: Mapping[str, Sequence[str]],
    absent: Mapping[str, str],
) -> dict[str, object]:
    canonical = {name: parameter.name for parameter in declared for name in parameter.names}
    spelled: dict[str, str] = {}
    for name, value in given.items():
        if name not in canonical:
            left_out = _STANDARD.get(name)
            if left_out is None:
                raise _unknown(name, value, declared, algorithm, absent.get(name))
            if not left_out.is_neutral(value):
                raise _not_taken(left_out, name, value, algorithm, takers.get(left_out.name, ()))
            continue
        first = spelled.setdefault(canonical[name], name)
        if first != name:
            message = f"{algorithm}: {first} and {name} are one parameter; give only one of them"
            raise ParameterError(message, parameter=canonical[name], value=value)
    return {name: given[spelling] for name, spelling in spelled.items()}


def _unknown(
    name: str, value: object, declared: tuple[Parameter, ...], algorithm: str, why: str | None
) -> ParameterError:
    if why is not None:
        message = f"{algorithm} does not take {name} here: {why}"
        return ParameterError(message, parameter=name, value=value)
    takes = ", ".join(parameter.name for parameter in declared) or "no parameters"
    near = closest(name, [known for parameter in declared for known in parameter.names])
    hint = f"did you mean {near[0]}? It takes" if near else "it takes"
    message = f"{algorithm} does not take {name}; {hint} {takes}"
    return ParameterError(message, parameter=name, value=value)


def _not_taken(
    parameter: Parameter, name: str, value: object, algorithm: str, takers: Sequence[str]
) -> ParameterError:
    """The refusal of a standard parameter that the algorithm does not take, at a value that asks for it."""
    neutral = " or ".join(f"{name}={str(each).lower()}" for each in parameter.neutral)
    passes = f"leave it out, or give {neutral}, which asks for nothing" if neutral else "leave it out"
    others = f"; {_listed(takers)} {'take' if len(takers) > 1 else 'takes'} it" if takers else ""
    message = f"{algorithm} does not take {name}={reprlib.repr(value)}; {passes}{others}"
    return ParameterError(message, parameter=parameter.name, value=value)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _named(declared: tuple[Parameter, ...], name: str) -> Parameter:
    return next(parameter for parameter in declared if parameter.name == name)


def _default(parameter: Parameter, chosen: set[str]) -> int | float | bool | str | None:
    return None if chosen.intersection(parameter.default_unless) else parameter.default


def parameters_of_row(given: Mapping[str, object], row: int) -> Mapping[str, object]:
    """The parameters of prompt ``row`` of a list: each draws from a seed of its own, ``seed + row``.

    Equal prompts of one call are then answered differently. After the largest seed comes 0.
    """
    seed = given.get("seed")
    if type(seed) is not int or seed >= _SEEDS:
        return given
    return {**given, "seed": seed + row if seed + row < _SEEDS else seed + row - _SEEDS}


def block_count(params: Mapping[str, Any]) -> int:
    """How many blocks of ``block_length`` the ``gen_length`` of effective ``params`` takes; one where there
    is no ``block_length``."""
    length = int(params["gen_length"])
    return -(-length // int(params.get("block_length") or length))


def whole_steps(params: Mapping[str, Any], steps: int) -> int:
    """``steps`` rounded up to a multiple of the blocks."""
    blocks = block_count(params)
    return -(-steps // blocks) * blocks


def steps_a_block(params: Mapping[str, Any]) -> int:
    """How many of the ``steps`` of effective ``params`` each block has, where none stands for
    ``gen_length``."""
    return whole_steps(params, int(params.get("steps") or params["gen_length"])) // block_count(params)


def check_early_stops(params: Mapping[str, object]) -> None:
    """Refuse effective ``params`` that ask for the stop of a publication, ``eos_early_stop``, and for none.
    Raises ``ParameterError``."""
    if params.get("eos_early_stop") and not params.get("early_stop", True):
        raise ParameterError(
            "eos_early_stop=True stops at an end token, and early_stop=False does not; leave one of them out",
            parameter="eos_early_stop",
            value=True,
        )


def spelled_out(params: Mapping[str, object]) -> dict[str, object]:
    """Effective ``params`` with the number of ``steps`` that none stands for: ``gen_length``, in whole
    blocks."""
    length: Any = params.get("gen_length")
    if length is None or params.get("steps", length) is not None:
        return dict(params)
    return {**params, "steps": whole_steps(params, length)}


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
