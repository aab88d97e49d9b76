"""The parameters of an algorithm that is composed of parts, and those of one part.

The algorithm takes the parameters of all parts, whichever a call names: each once, and none where the part's
own default holds. This module does not know what the parts are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llada_core.parameters.parameter import Parameter
from llada_core.parameters.resolution import resolve

__all__ = ["values_of_part", "with_parts"]

_LENGTHS = ("gen_length", "block_length")


def with_parts(
    own: Iterable[Parameter], parts: Iterable[tuple[str, Iterable[Parameter]]]
) -> tuple[Parameter, ...]:
    """An algorithm's ``own`` parameters, and those of its parts, each with what people call it.

    Of one name its own counts. Those of the parts are nullable, with default None; where several parts have a
    name, whatever one of them takes is taken. An alias goes to the first, and to none where it is a name or
    one of its own.
    """
    mine = tuple(own)
    taken = {name for parameter in mine for name in parameter.names}
    found: dict[str, list[tuple[str, Parameter]]] = {}
    for part, declared in parts:
        for parameter in declared:
            if parameter.name not in taken:
                found.setdefault(parameter.name, []).append((part, parameter))
    taken |= found.keys()
    joined = list(mine)
    for takers in found.values():
        aliases = dict.fromkeys(alias for _, each in takers for alias in each.aliases if alias not in taken)
        taken |= aliases.keys()
        joined.append(_joined(takers, tuple(aliases)))
    return tuple(joined)


def _joined(takers: Sequence[tuple[str, Parameter]], aliases: tuple[str, ...]) -> Parameter:
    """One parameter that takes whatever those of ``takers`` do."""
    declared = [parameter for _, parameter in takers]
    low, exclusive = _lowest(declared)
    return replace(
        declared[0],
        default=None,
        nullable=True,
        default_unless=(),
        neutral=(),
        aliases=aliases,
        minimum=low,
        exclusive_minimum=exclusive,
        maximum=_highest(declared),
        choices=_choices(declared),
        coerce=_coerce(declared),
        examples=tuple(dict.fromkeys(value for each in declared for value in each.examples)),
        summary=_summary(takers),
    )


def _lowest(declared: Sequence[Parameter]) -> tuple[float | None, bool]:
    """The minimum of them all, and whether it is none of the values."""
    bounds = [each.minimum for each in declared]
    low = None if None in bounds else min(each for each in bounds if each is not None)
    return low, all(each.exclusive_minimum for each in declared if each.minimum == low)


def _highest(declared: Sequence[Parameter]) -> float | None:
    bounds = [each.maximum for each in declared]
    return None if None in bounds else max(each for each in bounds if each is not None)


def _choices(declared: Sequence[Parameter]) -> tuple[str, ...]:
    if not all(each.choices for each in declared):
        return ()
    return tuple(dict.fromkeys(choice for each in declared for choice in each.choices))


def _coerce(declared: Sequence[Parameter]) -> Mapping[Any, Any]:
    """What the first that has it makes of a value."""
    return {raw: value for each in reversed(declared) for raw, value in each.coerce.items()}


def _summary(takers: Sequence[tuple[str, Parameter]]) -> str:
    said = next((each.summary for _, each in takers if each.summary), "")
    told = f"Of the {' and the '.join(part for part, _ in takers)}; none is the part's own default."
    return f"{said} {told}" if said else told


def values_of_part(
    parameters: Iterable[Parameter], effective: Mapping[str, object], *, part: str
) -> dict[str, object]:
    """What a part with these ``parameters`` is made of, by canonical name.

    Those of an algorithm's ``effective`` values that are not None, and the part's own defaults; besides,
    ``gen_length`` and ``block_length``, where the algorithm has them. Raises ``ParameterError`` for a value
    that another part with this parameter takes and this one does not; ``part`` is what it is called then.
    """
    declared = tuple(parameters)
    given = {each.name: effective[each.name] for each in declared if effective.get(each.name) is not None}
    lengths = {name: effective[name] for name in _LENGTHS if name in effective}
    return lengths | resolve(declared, given, algorithm=part)
