"""What the registry learns of this package. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, CommandSpec, PolicySpec, RuleSpec, hookimpl

from .declared import (
    adablock,
    compose,
    daedal,
    eb_sampler,
    freedave,
    klass,
    llada,
    multiblock,
    streaming,
    wino,
)
from .declared.parts import POLICIES, RULES

__all__ = ["ALGORITHMS", "llada_algorithms", "llada_commands", "llada_policies", "llada_rules"]

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
    compose.ALGORITHM,
)
"""All decoders of this package, for the engine ``fast-dllm``."""


@hookimpl
def llada_algorithms() -> Iterable[AlgorithmSpec]:
    """The decoders, for an engine that another distribution brings."""
    yield from ALGORITHMS


@hookimpl
def llada_rules() -> Iterable[RuleSpec]:
    """The commit rules of the decoders that can be composed with any cache policy."""
    yield from RULES


@hookimpl
def llada_policies() -> Iterable[PolicySpec]:
    """The cache policies that can be composed with any commit rule."""
    yield from POLICIES


@hookimpl
def llada_commands() -> Iterable[CommandSpec]:
    """``llada tune``."""
    yield CommandSpec(
        name="tune",
        target="llada_decoders.tuning.command:tune",
        summary="Find the fastest parameters that keep answers right.",
    )
