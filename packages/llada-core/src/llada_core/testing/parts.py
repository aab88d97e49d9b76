"""Checks of the rules and the policies that a distribution brings for others to compose.

What a part must be, its class knows: by ``part``, its kind, and by ``checked_by``, the ``"module:attr"`` of a
function that holds one to its contract, and raises ``ConformanceError``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llada_core.errors import ParameterError
from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.parameters import resolve
from llada_core.plugins.specs import PartSpec
from llada_core.testing.checks import Check, ConformanceError, NotRun
from llada_core.testing.samples import Setting, bounds_of, setting_with
from llada_core.testing.subject import Once
from llada_core.testing.targets import imported
from llada_core.values import told

__all__ = ["part_checks"]

_LENGTHS = {"gen_length": 12, "block_length": 4}


def part_checks(specs: Iterable[PartSpec]) -> Iterator[Check]:
    """The checks of rules and policies, or none where there are none. Each relies on the one before."""
    found = tuple(specs)
    gate: Once[None] | None = None
    for name, check in _CHECKS.items() if found else ():
        gate = Once(functools.partial(_of_each, gate, found, check), of=name)
        yield name, gate.check


def _of_each(gate: Once[None] | None, specs: Iterable[PartSpec], check: Callable[[PartSpec], None]) -> None:
    if gate is not None:
        gate.get()
    for spec in specs:
        check(spec)


def _is_a_function(spec: PartSpec) -> None:
    function = imported(spec.target)
    remedy = f"name a function (params) that returns the {spec.kind}"
    assert not isinstance(function, type), f"{spec.target} is the class {function.__name__}; {remedy}"
    assert callable(function), f"{spec.target} is {told(function)}; {remedy}"


def _is_made(spec: PartSpec) -> None:
    for setting in _settings(spec):
        _made(spec, setting)


def _settings(spec: PartSpec) -> Iterator[Setting]:
    """The defaults, and for each default, choice and bound of a parameter a setting with it that is taken."""
    _by_default(spec)
    yield {}
    for parameter in spec.parameters:
        for value in bounds_of(parameter):
            setting = setting_with(functools.partial(_made, spec), spec.parameters, {}, parameter, value)
            assert setting is not None, (
                f"{_name(spec)} is not made of {parameter.name}={value!r}, which is within what is declared, "
                f"{parameter.expected}, whatever is given besides; narrow the declaration, or let it be made"
            )
            if value != parameter.default:
                yield setting


def _is_of_its_kind(spec: PartSpec) -> None:
    made = _by_default(spec)
    assert getattr(type(made), "part", None) == spec.kind, (
        f"{_name(spec)} is {told(made)}; let {spec.target} return a llada_runtime.{spec.kind.capitalize()}"
    )


def _keeps_its_contract(spec: PartSpec) -> None:
    check = getattr(type(_by_default(spec)), "checked_by", None)
    if check is None:
        raise NotRun(f"the class of {_name(spec)} names no function that checks it; inherit its base class")
    for setting in _settings(spec):
        try:
            load_target(check)(_made(spec, setting))
        except ConformanceError as exc:
            failures = "; ".join(f"{each.check}: {each.problem}" for each in exc.failures)
            given = "".join(f" with {name}={value!r}" for name, value in setting.items())
            raise AssertionError(f"{_name(spec)}{given}: {failures}") from exc


def _by_default(spec: PartSpec) -> Any:
    try:
        return _made(spec, {})
    except ParameterError as exc:
        raise AssertionError(
            f"{_name(spec)} is not made of its defaults: {exc}; let its function take what is declared"
        ) from exc


def _made(spec: PartSpec, setting: Setting) -> Any:
    """The part of a setting of its own parameters. Raises ``ParameterError`` where that is refused."""
    values = _LENGTHS | resolve(spec.parameters, setting, algorithm=_name(spec))
    try:
        return imported(spec.target)(values)
    except (AssertionError, ParameterError):
        raise
    except BaseException as exc:  # a plugin's function may raise anything
        given = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise AssertionError(
            f"{spec.target} fails with {given}: {one_line(fault_of(exc))}; let it return the {spec.kind}, or "
            "raise ParameterError for what does not go together"
        ) from exc


def _name(spec: PartSpec) -> str:
    return f"the {spec.kind} {spec.name}"


_CHECKS: dict[str, Callable[[PartSpec], None]] = {
    "its rules and policies are functions": _is_a_function,
    "its rules and policies are made of each default, choice and bound": _is_made,
    "its rules are rules, and its policies policies": _is_of_its_kind,
    "its rules and policies are what the loop relies on": _keeps_its_contract,
}
