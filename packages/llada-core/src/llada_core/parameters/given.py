"""What a request gives of parameters, under whatever names, and which defaults hold beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llada_core.parameters.parameter import Parameter

__all__ = ["beside", "called", "named", "once", "value_of", "without"]


def called(name: str, declared: Iterable[Parameter]) -> Parameter | None:
    """The parameter of this name or alias, the first of them; None where there is none."""
    return next((each for each in declared if name in each.names), None)


def named(given: Mapping[str, object], declared: Iterable[Parameter]) -> dict[str, object]:
    """Those of ``given`` that are declared, and are not None, by canonical name: what a call asks for."""
    known = tuple(declared)
    asked = ((called(name, known), value) for name, value in given.items() if value is not None)
    return {parameter.name: value for parameter, value in asked if parameter is not None}


def once(given: Mapping[str, object], declared: Iterable[Parameter]) -> dict[str, object]:
    """``given`` without what is None where that means nothing, and each once, where it is given under two
    names with the same value. Two values stay, for ``resolve`` to refuse them."""
    known, kept = tuple(declared), dict[str, object]()
    for name, value in given.items():
        parameter = called(name, known)
        if value is None and parameter is not None and not parameter.nullable:
            continue
        twins = () if parameter is None else parameter.names
        if not any(kept[twin] == value for twin in twins if twin in kept):
            kept[name] = value
    return kept


def beside(
    given: Mapping[str, object], defaults: Mapping[str, object], declared: Iterable[Parameter]
) -> dict[str, object]:
    """``given`` and those of ``defaults`` that hold beside it.

    One that is given takes the place of the default under whatever alias, and one of a parameter's
    ``default_unless``, which asks for another rule, switches its default off.
    """
    known = tuple(declared)
    taken = {_canonical(name, known) for name in given}

    def gives_way(name: str) -> bool:
        parameter = called(name, known)
        rivals = () if parameter is None else parameter.default_unless
        return not taken.isdisjoint({_canonical(name, known), *rivals})

    return {**{name: value for name, value in defaults.items() if not gives_way(name)}, **given}


def value_of(name: str, given: Mapping[str, object], declared: Iterable[Parameter]) -> object:
    """What ``given`` says of the parameter of this canonical name, else its default; None where neither is.

    The first of several names counts.
    """
    parameter = called(name, declared)
    names = (name,) if parameter is None else parameter.names
    default = None if parameter is None else parameter.default
    return next((value for key, value in given.items() if key in names), default)


def without(name: str, given: Mapping[str, object], declared: Iterable[Parameter]) -> dict[str, object]:
    """``given`` without the parameter of this canonical name, under whatever alias."""
    parameter = called(name, declared)
    names = (name,) if parameter is None else parameter.names
    return {key: value for key, value in given.items() if key not in names}


def _canonical(name: str, declared: Iterable[Parameter]) -> str:
    parameter = called(name, declared)
    return name if parameter is None else parameter.name
