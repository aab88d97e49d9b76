"""What the registry learns of this package. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, hookimpl

from .declared import daedal, eb_sampler, llada, wino

__all__ = ["ALGORITHMS", "llada_algorithms"]

ALGORITHMS: tuple[AlgorithmSpec, ...] = (
    llada.ALGORITHM,
    eb_sampler.ALGORITHM,
    wino.ALGORITHM,
    daedal.ALGORITHM,
)
"""All decoders of this package, for the engine ``fast-dllm``."""


@hookimpl
def llada_algorithms() -> Iterable[AlgorithmSpec]:
    """The decoders, for an engine that another distribution brings."""
    yield from ALGORITHMS
