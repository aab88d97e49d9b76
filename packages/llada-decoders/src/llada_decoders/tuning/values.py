"""The values that a call gives parameters: one, or several with commas between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core import Parameter, ParameterError
from llada_core.parameters import called, parse_assignments, resolve
from llada_core.plugins.info import AlgorithmInfo
from llada_decoders.tuning.composed import choices_of, names_parts

__all__ = ["given_values", "takes"]


def given_values(info: AlgorithmInfo, given: Mapping[str, object]) -> dict[str, list[Any]]:
    """The values of each parameter by canonical name, those of ``0.7,0.9`` apart, each known to be in range.

    A standard parameter that the algorithm does not take is left out at a neutral value, as everywhere.
    Raises ``ParameterError``.
    """
    found = dict[str, list[Any]]()
    for name, value in given.items():
        parameter = called(name, info.parameters)
        values = [value] if parameter is None else _apart(parameter, name, value, info)
        for each in values:  # refuses an unknown name, and a value out of range
            resolve(
                info.parameters, {name: each}, algorithm=info.name, takers=info.takers, absent=info.absent
            )
        if parameter is None:
            continue
        if parameter.name in found:
            message = f"{info.name}: {parameter.name} is given under two names; give it once, with all values"
            raise ParameterError(message, parameter=parameter.name, value=value)
        found[parameter.name] = list(dict.fromkeys(parameter.check(each) for each in values))
    return found


def takes(info: AlgorithmInfo, given: Mapping[str, object]) -> bool:
    """Whether the algorithm has all of the parameters, whatever their values; one of parts, as long as none
    is named, those that its default parts read."""
    declared, parts = info.parameters, [each for each in info.parameters if names_parts(each, info)]
    if parts and not any(called(name, parts) for name in given):
        (default,) = choices_of(info, {})
        declared = default.parameters
    return all(called(name, declared) for name in given)


def _apart(parameter: Parameter, name: str, value: object, info: AlgorithmInfo) -> list[object]:
    """The values of a word; text that is neither some choices nor names of parts may have commas in it."""
    listed = parameter.kind is not str or parameter.choices or names_parts(parameter, info)
    if not isinstance(value, str) or not listed:
        return [value]
    return [parse_assignments([f"{name}={word}"])[name] for word in value.split(",")]
