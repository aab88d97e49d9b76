"""What is tried: an algorithm with values of its parameters, and all of them that a grid makes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from llada_core import Parameter, ParameterError, registry
from llada_core.cli.output import as_typed
from llada_core.cli.settings import Setting
from llada_core.errors import UsageError
from llada_core.parameters import value_of
from llada_core.plugins.info import AlgorithmInfo
from llada_decoders.tuning.composed import Choice, choices_of
from llada_decoders.tuning.grids import axis_of, sets_the_pace

__all__ = ["Candidate", "candidates_of", "is_tunable"]

_Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An algorithm with ``parameters``; ``effective`` are all its values, defaults too."""

    algorithm: str
    parameters: Mapping[str, Any]
    effective: Mapping[str, Any]

    @classmethod
    def checked(cls, algorithm: str, parameters: Mapping[str, Any]) -> Candidate:
        """Known to be a call that can be made. Raises ``UnknownAlgorithm`` and ``ParameterError``."""
        found = registry.get_algorithm(algorithm)
        return cls(algorithm=found.name, parameters=parameters, effective=found.validate_args(**parameters))

    @property
    def label(self) -> str:
        """What people call it."""
        return self.label_but({})

    def label_but(self, alike: Mapping[str, object]) -> str:
        """The same without the parameters of these names."""
        own = {name: value for name, value in self.parameters.items() if name not in alike}
        return " ".join([self.algorithm, *_assignments(own)])

    @property
    def flags(self) -> str:
        """What ``llada generate`` takes to decode so, as a shell reads it."""
        options = [word for each in _assignments(self.parameters) for word in ("-p", each)]
        return shlex.join(["--algorithm", self.algorithm, *options])

    @property
    def setting(self) -> Setting:
        """What the commands of the core take."""
        return Setting(algorithm=self.algorithm, parameters=self.parameters)

    def decodes_as(self, other: Candidate) -> bool:
        """Whether the two are one, however they are written."""
        return (self.algorithm, self.effective) == (other.algorithm, other.effective)


def _assignments(parameters: Mapping[str, Any]) -> list[str]:
    return [f"{name}={as_typed(value)}" for name, value in parameters.items()]


def is_tunable(info: AlgorithmInfo) -> bool:
    """Whether a grid is known of a parameter that decides the algorithm's pace."""
    return any(map(sets_the_pace, info.parameters))


def candidates_of(info: AlgorithmInfo, given: _Values) -> list[Candidate]:
    """All combinations of the values ``given``, by canonical name, with those that the grids know of the
    other parameters; of an algorithm of parts, with each choice of these what they read.

    Of parameters of which one switches the other's rule off, as ``factor`` and ``threshold`` do, each value
    is a candidate without the others; where some of them are given, only these are tried. Combinations that
    the algorithm refuses are none. Raises ``ParameterError`` where it refuses all, or all of a value that is
    given, and ``UsageError`` where there is nothing to try.
    """
    if not is_tunable(info) and not given:
        message = f"of {info.name} it is not known what to tune; give values, such as -p NAME=VALUE,VALUE"
        raise UsageError(message)
    found: list[Candidate] = []
    taken: list[dict[str, Any]] = []
    refused: list[tuple[dict[str, Any], ParameterError]] = []
    for parameters in (each for choice in choices_of(info, given) for each in _combinations(choice)):
        try:
            candidate = Candidate.checked(info.name, parameters)
        except ParameterError as exc:
            refused.append((parameters, exc))
            continue
        taken.append(parameters)
        if not any(candidate.decodes_as(other) for other in found):
            found.append(candidate)
    _check_taken(given, taken, refused)
    return found


def _check_taken(
    given: _Values,
    taken: Sequence[Mapping[str, Any]],
    refused: Sequence[tuple[Mapping[str, Any], ParameterError]],
) -> None:
    """Refuse values of which nothing can be tried: all, or one that is given. Raises the error of the first
    that was refused, where the defaults of the others are."""
    if refused and not taken:
        raise refused[0][1]
    for name, values in given.items():
        for value in values:
            errors = [exc for parameters, exc in refused if _has(parameters, name, value)]
            if errors and not any(_has(parameters, name, value) for parameters in taken):
                raise errors[0]


def _has(parameters: Mapping[str, Any], name: str, value: object) -> bool:
    return name in parameters and parameters[name] == value


def _combinations(choice: Choice) -> Iterator[dict[str, Any]]:
    parameters, given = choice.parameters, choice.given
    values = {
        each.name: tried
        for each in parameters
        if (tried := given.get(each.name) or _values(each, parameters, given))
    }
    rivals = _rivals(parameters)
    if rivals & given.keys():
        values = {name: tried for name, tried in values.items() if name in given or name not in rivals}
    others = [name for name in values if name not in rivals]
    for chosen in _alternatives(values, rivals, given):
        for row in product(*(values[name] for name in others)):
            combined = {**chosen, **dict(zip(others, row, strict=True))}
            yield {name: combined[name] for name in values if _is_said(name, combined, parameters)}


def _alternatives(values: _Values, rivals: set[str], given: _Values) -> list[dict[str, Any]]:
    """One rule at a time; None is none."""
    found = [
        {name: value}
        for name, tried in values.items()
        if name in rivals
        for value in tried
        if value is not None or name in given
    ]
    return found or [{}]


def _rivals(parameters: Sequence[Parameter]) -> set[str]:
    """The parameters of which one switches the default of another off."""
    declared = {each.name for each in parameters}
    return {
        name for each in parameters if each.default_unless for name in (each.name, *each.default_unless)
    } & declared


def _values(parameter: Parameter, declared: Sequence[Parameter], given: _Values) -> Sequence[Any]:
    """What the grids try of a parameter, and its default."""
    axis = axis_of(parameter)
    length: Any = (given.get("gen_length") or [value_of("gen_length", {}, declared)])[0]
    if axis is None or (axis.of_the_length and length is None):
        return []
    if axis.of_the_length:
        others = any(sets_the_pace(each) and each is not parameter for each in declared)
        return [] if others else list(dict.fromkeys(max(1, round(share * length)) for share in axis.shares))
    default = [] if parameter.default in axis.values else [parameter.default]
    values = [*default, *(value for value in axis.values if parameter.accepts(value))]
    return _blocks(values, length) if parameter.name == "block_length" and length is not None else values


def _blocks(lengths: list[Any], answer: int) -> list[Any]:
    """The lengths of blocks that differ for such an answer: of those that hold all of it, the least."""
    whole = sorted(each for each in lengths if each >= answer)
    return [each for each in lengths if each < answer or each == whole[0]]


def _is_said(name: str, combined: Mapping[str, Any], parameters: Sequence[Parameter]) -> bool:
    """Whether a call gives the parameter: not where it is a default of None, which a rule may refuse."""
    if name not in combined:
        return False
    return combined[name] is not None or value_of(name, {}, parameters) is not None
