"""Calls: refused before a model is loaded for them, which may take minutes, and made on one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llada_core import registry
from llada_core.errors import AlgorithmUnavailable
from llada_core.parameters import beside, resolve

if TYPE_CHECKING:
    from llada_core.loading.loaded import LoadedModel

__all__ = ["call_on", "check_call"]


def check_call(name: str, parameters: Mapping[str, object]) -> dict[str, Any]:
    """The effective parameters of a call of an algorithm that can run here.

    Raises ``UnknownAlgorithm``, ``AlgorithmUnavailable`` and ``ParameterError``.
    """
    info = registry.get_algorithm_info(name)
    if info.parameters:  # tells of a typo before torch is imported; else only an object knows
        resolve(info.parameters, parameters, algorithm=info.name, takers=info.takers, absent=info.absent)
    algorithm = registry.get_algorithm(name)
    reason = algorithm.unavailable_reason
    if reason is not None:
        message = f"{algorithm.name} cannot run here: {reason}"
        raise AlgorithmUnavailable(message, name=algorithm.name, reason=reason)
    return algorithm.validate_args(**parameters)


def call_on(lm: LoadedModel, name: str, given: Mapping[str, object]) -> dict[str, object]:
    """What is given, and what the algorithm needs besides on this model."""
    algorithm = lm.algorithm(name)
    return beside(given, algorithm.parameters_on(lm.model.network), algorithm.parameters)
