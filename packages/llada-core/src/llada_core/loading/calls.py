"""Calls refused before a model is loaded for them, which may take minutes."""

from __future__ import annotations

from collections.abc import Mapping

from llada_core import registry
from llada_core.errors import AlgorithmUnavailable
from llada_core.parameters import resolve

__all__ = ["check_call"]


def check_call(name: str, parameters: Mapping[str, object]) -> None:
    """Refuse an algorithm that cannot run here, and parameters that it does not take together.

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
    algorithm.validate_args(**parameters)
