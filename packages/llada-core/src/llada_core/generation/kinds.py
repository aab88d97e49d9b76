"""Which algorithms are for an engine's networks: those of it, and those that name the same class of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from llada_core.faults import fault_of
from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["is_for", "network_class_of"]


def network_class_of(algorithm: GenerationAlgorithm) -> Any:
    """Its class of networks; None where that cannot be told, as of one that cannot run here."""
    try:
        return algorithm.network_class()
    except BaseException as exc:  # it is a plugin's, and asked only whether it would do
        fault_of(exc)
        return None


def is_for(algorithm: GenerationAlgorithm, *, engine: str, classes: Collection[Any]) -> bool:
    """Whether an algorithm is one for networks of ``engine``, of which these classes are named: it is of that
    engine, or names one of them too. Which networks among these it refuses, ``why_unfit`` says."""
    return algorithm.engine == engine or network_class_of(algorithm) in classes
