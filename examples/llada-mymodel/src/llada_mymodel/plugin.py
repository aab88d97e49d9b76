"""What the registry learns of the engine ``mymodel``. Importing this module needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, EngineSpec, hookimpl, standard

__all__ = ["llada_engines"]

_TARGET = "llada_mymodel.generation:MyModelGeneration"


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``mymodel``, which takes every model whose ``config.json`` says ``mymodel``."""
    yield EngineSpec(
        name="mymodel",
        summary="A small masked model of bytes.",
        target=_TARGET,
        default_algorithm="mymodel",
        algorithms=(
            AlgorithmSpec(
                name="mymodel",
                engine="mymodel",
                target=_TARGET,
                summary="Fills the surest masks, as many a step as the number of steps asks for.",
                parameters=(standard("gen_length", default=32), standard("steps")),
                streams=False,
            ),
        ),
        model_types=("mymodel",),
    )
