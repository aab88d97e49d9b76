"""Algorithms of parts that values name: which values choose which parts, and what those read.

Each choice is tuned by itself, so that no parameter is tried beside a part that does not read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from llada_core import (
    Parameter,
    PartInfo,
    UnknownPart,
    get_policy_info,
    get_rule_info,
    list_policies,
    list_rules,
)
from llada_core.plugins.info import AlgorithmInfo

__all__ = ["Choice", "choices_of", "names_parts"]

_Values = Mapping[str, Sequence[Any]]
_Known = Callable[[str], PartInfo]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What can be given with some parts: the ``parameters`` that these or the algorithm itself read, and
    which values of them are ``given``."""

    parameters: tuple[Parameter, ...]
    given: _Values


def names_parts(parameter: Parameter, info: AlgorithmInfo) -> bool:
    """Whether values of the parameter are names of rules or of policies, as its default is."""
    return _kind(parameter, info) is not None


def choices_of(info: AlgorithmInfo, given: _Values) -> list[Choice]:
    """One choice for each combination of the parts that are ``given``, or are the defaults; one in all of an
    algorithm without parts.

    What is given and read with some of the choices only is given with these; what is read with none is given
    with all, for the algorithm to refuse it.
    """
    kinds = {each.name: kind for each in info.parameters if (kind := _kind(each, info)) is not None}
    defaults = {each.name: [each.default] for each in info.parameters if each.name in kinds}
    rows = [dict(zip(kinds, row, strict=True)) for row in product(*({**defaults, **given}[n] for n in kinds))]
    if not kinds:
        return [Choice(parameters=info.parameters, given=given)]
    read = [_read(row, kinds, info) for row in rows]
    somewhere = set().union(*read)
    return [
        _choice(info, {**given, **{n: [row[n]] for n in kinds if n in given}}, names, somewhere)
        for row, names in zip(rows, read, strict=True)
    ]


def _choice(info: AlgorithmInfo, given: _Values, read: set[str], somewhere: set[str]) -> Choice:
    mine = {name: values for name, values in given.items() if name in read or name not in somewhere}
    parameters = tuple(each for each in info.parameters if each.name in read or each.name in mine)
    return Choice(parameters=parameters, given=mine)


def _read(row: Mapping[str, Any], kinds: Mapping[str, _Known], info: AlgorithmInfo) -> set[str]:
    """The names of what the algorithm and the parts of ``row`` read."""
    found = {each.name for each in info.spec.parameters}
    for name, known in kinds.items():
        try:
            found |= {each.name for each in known(row[name]).parameters}
        except UnknownPart:  # the algorithm refuses it, and says what there is
            continue
    return found


def _kind(parameter: Parameter, info: AlgorithmInfo) -> _Known | None:
    """How the part of a value is found; None where values name no parts."""
    if not info.spec.parts or parameter.kind is not str or parameter.choices:
        return None
    if parameter.default in list_rules():
        return get_rule_info
    return get_policy_info if parameter.default in list_policies() else None
