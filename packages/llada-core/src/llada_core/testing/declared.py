"""Checks of what an algorithm says of itself: its facts and its parameters. Nothing is generated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from llada_core import registry
from llada_core.errors import ParameterError
from llada_core.faults import fault_of, one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.parameters import STANDARD, Parameter
from llada_core.testing.checks import Check
from llada_core.testing.samples import bounds_of, setting_with

__all__ = ["fact_checks", "parameter_checks"]

_SPEC_ONLY = "declare in the spec what it takes"


def fact_checks(algorithm: GenerationAlgorithm, *, registered: bool) -> Iterator[Check]:
    """The checks of its name, its availability, and of what the registry knows."""
    yield "it can run here", lambda: _can_run(algorithm)
    yield "it has a name", lambda: _is_named(algorithm)
    if registered:
        yield "the registered facts are the object's", lambda: _agrees_with_registry(algorithm)
        yield "each name and alias gives a fresh object of it", lambda: _is_fresh(algorithm)


def _can_run(algorithm: GenerationAlgorithm) -> None:
    assert algorithm.is_available(), algorithm.unavailable_reason


def _is_named(algorithm: GenerationAlgorithm) -> None:
    assert algorithm.name, "its name is empty; register it, or set the class attribute name"


def _agrees_with_registry(algorithm: GenerationAlgorithm) -> None:
    info = registry.get_algorithm_info(algorithm.name)
    for field in ("name", "engine", "description", "aliases", "parameters"):
        told, has = getattr(info, field), getattr(algorithm, field)
        advice = _SPEC_ONLY if field == "parameters" and not told else "do not set it there"
        assert told == has, f"{field} is {told!r} in the spec and {has!r} in the object; {advice}"
    if algorithm.is_available():
        yields = algorithm.yields_steps()
        runs = "runs by steps" if yields else "is one call, as its generate or answers is its own"
        assert info.streams is yields, (
            f"its spec says streams={info.streams}, and the object {runs}; write streams={yields}"
        )


def _is_fresh(algorithm: GenerationAlgorithm) -> None:
    for name in (algorithm.name, *algorithm.aliases):
        other = registry.get_algorithm(name)
        assert other.name == algorithm.name, f"{name} gives {other.name}; take another alias"
        assert other is not algorithm, f"{name} gives one object twice; make a new one at each call"


def parameter_checks(algorithm: GenerationAlgorithm) -> Iterator[Check]:
    """The checks of its declarations, by what its ``validate_args`` makes of values."""
    yield "its parameters have values where none is given", lambda: _has_values(algorithm)
    yield "each alias stands for its parameter", lambda: _takes_aliases(algorithm)
    yield "each default, choice and bound is taken", lambda: _takes_bounds(algorithm)
    yield "what is out of range is refused", lambda: _refuses_out_of_range(algorithm)
    yield "an unknown parameter is refused", lambda: _refuses_unknown(algorithm)


def _has_values(algorithm: GenerationAlgorithm) -> None:
    names, values = {each.name for each in algorithm.parameters}, algorithm.get_required_args()
    silent = {each.name for each in algorithm.parameters if each.default in each.neutral}
    # A generate of its own may be left in peace with what asks for nothing.
    given = values.keys() if algorithm.yields_steps() else values.keys() | silent
    assert given == names, (
        f"get_required_args gives {sorted(values)} and its parameters are {sorted(names)}; "
        "declare every parameter, and let validate_args return them all"
    )


def _takes_aliases(algorithm: GenerationAlgorithm) -> None:
    for parameter in algorithm.parameters:
        values = algorithm.validate_args(**{parameter.name: parameter.default})
        for alias in parameter.aliases:
            assert algorithm.validate_args(**{alias: parameter.default}) == values, (
                f"{alias}={parameter.default!r} is not {parameter.name}={parameter.default!r}; "
                "let resolve make names of aliases first"
            )


def _takes_bounds(algorithm: GenerationAlgorithm) -> None:
    declared = algorithm.parameters
    for parameter in declared:
        for value in bounds_of(parameter):
            beside = dict(algorithm.tried_beside(parameter.name))
            setting = setting_with(
                lambda given: algorithm.validate_args(**given), declared, beside, parameter, value
            )
            assert setting is not None, (
                f"{parameter.name}={value!r} is within what is declared, {parameter.expected}, and refused "
                "whatever is given besides; narrow the declaration, or let validate_args take it"
            )


def _refuses_out_of_range(algorithm: GenerationAlgorithm) -> None:
    for parameter in algorithm.parameters:
        for value in (*_beyond(parameter), *_OF_NO_KIND):
            if not parameter.accepts(value):
                _refuse(algorithm, parameter.name, value, f"it is declared as {parameter.expected}")


_OF_NO_KIND: tuple[object, ...] = (None, "no such value", 2, 0.5, True, math.nan, math.inf, [1], {})
"""Values of every kind: each parameter must refuse some of them."""


def _beyond(parameter: Parameter) -> list[Any]:
    """Numbers just outside of the range."""
    by = 0 if parameter.exclusive_minimum else -1
    bounds = [(parameter.minimum, by), (parameter.maximum, 1)]
    return [parameter.kind(bound + step) for bound, step in bounds if bound is not None]


def _refuses_unknown(algorithm: GenerationAlgorithm) -> None:
    _refuse(algorithm, "no_such_parameter", 1, "it takes no such parameter")
    mine = {name for parameter in algorithm.parameters for name in parameter.names}
    for name, value in (("temperature", 0.5), ("top_k", 3), ("threshold", 0.5), ("factor", 1.0)):
        if name not in mine and STANDARD[name].accepts(value):
            _refuse(algorithm, name, value, "it is a standard parameter that is not declared")


def _refuse(algorithm: GenerationAlgorithm, name: str, value: object, why: str) -> None:
    try:
        algorithm.validate_args(**{name: value})
    except ParameterError:
        return
    except Exception as exc:
        told = f"given {name}={value!r} validate_args raises {one_line(fault_of(exc))}"
        raise AssertionError(f"{told}, and {why}; let it raise ParameterError, as resolve does") from exc
    raise AssertionError(
        f"validate_args takes {name}={value!r}, and {why}; let it raise ParameterError, as resolve does"
    )
