"""Networks whose keys and values cannot be cached, and the parameters by which a decoder runs on one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from llada_core.errors import LladaError, ParameterError
from llada_core.parameters import Parameter
from llada_runtime.decoding.policies import Policy

__all__ = ["Plans", "refuse_caching", "without_cache"]


class Plans(Protocol):
    """What is asked of a step algorithm."""

    parameters: tuple[Parameter, ...]

    def policy(self, params: Mapping[str, Any]) -> Policy: ...


def without_cache(algorithm: Plans, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is to be given besides effective ``params`` so that nothing is cached: nothing, one choice of one
    parameter, or None where no such choice does."""
    if not algorithm.policy(params).caches:
        return {}
    for name, value in _choices(algorithm):
        with suppress(LladaError):  # it does not go with the others, or what it names cannot be imported
            if not algorithm.policy({**params, name: value}).caches:
                return {name: value}
    return None


def refuse_caching(algorithm: Plans, params: Mapping[str, Any]) -> None:
    """Refuse effective ``params`` by which something is cached, where other ones cache nothing. Raises
    ``ParameterError`` that names the parameter to give otherwise."""
    for name, value in (without_cache(algorithm, params) or {}).items():
        raise ParameterError(
            f"{name}={params.get(name)!r} caches, and this network's keys and values cannot be cached; give "
            f"{name}={value!r}, and leave out what needs a cache",
            parameter=name,
            value=params.get(name),
        )


def _choices(algorithm: Plans) -> Iterator[tuple[str, Any]]:
    """Each parameter with its default, none where it may be that, and each value that it is known to choose
    from, in accepted form."""
    for each in algorithm.parameters:
        known = (True, False) if each.kind is bool else (*each.choices, *each.examples)
        yield each.name, each.default
        if each.nullable:
            yield each.name, None
        yield from ((each.name, each.check(value)) for value in known)
