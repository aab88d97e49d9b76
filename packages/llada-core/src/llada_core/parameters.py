"""The standard parameters, and how the values of a call become effective values.

An algorithm declares what it takes as a tuple of ``Parameter``; ``resolve`` is the one place where values are
checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from llada_core.errors import ParameterError, UsageError
from llada_core.names import closest
from llada_core.parameter import Parameter

__all__ = [
    "STANDARD",
    "Parameter",
    "block_count",
    "parameters_of_row",
    "parse_assignments",
    "resolve",
    "standard",
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


def standard(name: str, **changes: Any) -> Parameter:
    """The standard parameter of this name, with some fields changed if any are given.

    ``standard("threshold", default=None)`` is the threshold of an algorithm that commits by quota unless
    told. Raises ``KeyError`` for a name that is not in ``STANDARD``.
    """
    return replace(STANDARD[name], **changes)


STANDARD: Mapping[str, Parameter] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            Parameter(
                name="gen_length",
                kind=int,
                minimum=1,
                default=128,
                aliases=("max_tokens", "max_completion_tokens", "max_new_tokens"),
                summary="Tokens to generate; the last block may be short.",
            ),
            Parameter(
                name="block_length",
                kind=int,
                minimum=1,
                maximum=1024,
                default=32,
                aliases=("block_size",),
                summary="Positions of a block; blocks are decoded from left to right.",
            ),
            Parameter(
                name="steps",
                kind=int,
                minimum=1,
                nullable=True,
                default=None,
                aliases=("denoising_steps",),
                summary=(
                    "Forward passes of the quota rule, rounded up to a multiple of the block count; none "
                    "means gen_length. Giving it selects the quota rule, unless threshold or factor is given."
                ),
            ),
            Parameter(
                name="temperature",
                kind=float,
                minimum=0,
                default=0.0,
                summary="Gumbel noise on the choice of tokens; 0 takes the most likely token.",
            ),
            Parameter(
                name="remasking",
                kind=str,
                default="low_confidence",
                choices=("low_confidence", "random"),
                coerce={True: "low_confidence", False: "random"},
                summary="What ranks the positions: the token's probability, or chance.",
            ),
            Parameter(
                name="threshold",
                kind=float,
                minimum=0,
                maximum=1,
                nullable=True,
                default=0.9,
                aliases=("confidence_threshold",),
                default_unless=("steps", "factor"),
                summary=(
                    "Commit every position at least this confident. An explicit steps means the quota rule "
                    "and an explicit factor the factor rule: the default then gives way to none."
                ),
            ),
            Parameter(
                name="factor",
                kind=float,
                minimum=0,
                exclusive_minimum=True,
                nullable=True,
                default=None,
                summary="Parallelism of the factor rule; wins over threshold, as threshold wins over steps.",
            ),
            Parameter(
                name="seed",
                kind=int,
                minimum=-(2**63),  # the range of torch.Generator.manual_seed
                maximum=2**64 - 1,
                nullable=True,
                default=None,
                summary="Seed of the row's random generator; none draws a fresh one.",
            ),
            Parameter(
                name="early_stop",
                kind=bool,
                default=True,
                summary="Stop a row once an EOS stands with no mask before it; false decodes every position.",
            ),
        )
    }
)
