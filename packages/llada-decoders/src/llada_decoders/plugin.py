"""What the registry learns of this package. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, hookimpl

from .declared import adablock, daedal, eb_sampler, freedave, klass, llada, multiblock, streaming, wino

__all__ = ["ALGORITHMS", "llada_algorithms"]

ALGORITHMS: tuple[AlgorithmSpec, ...] = (
    llada.ALGORITHM,
    eb_sampler.ALGORITHM,
    klass.ALGORITHM,
    wino.ALGORITHM,
    streaming.ALGORITHM,
    adablock.ALGORITHM,
    multiblock.ALGORITHM,
    freedave.ALGORITHM,
    daedal.ALGORITHM,
)
"""All decoders of this package, for the engine ``fast-dllm``."""


@hookimpl
def llada_algorithms() -> Iterable[AlgorithmSpec]:
    """The decoders, for an engine that another distribution brings."""
    yield from ALGORITHMS
