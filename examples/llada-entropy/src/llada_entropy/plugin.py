"""What the registry learns of the decoder ``entropy``. Importing this module needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import SAMPLING, AlgorithmSpec, Parameter, hookimpl, standard

__all__ = ["ENTROPY_BUDGET", "llada_algorithms"]

ENTROPY_BUDGET = Parameter(
    name="entropy_budget",
    kind=float,
    minimum=0,
    default=0.1,
    summary="Nats that the tokens of a step may have together, the last of them not counted; 0 keeps one.",
)


@hookimpl
def llada_algorithms() -> Iterable[AlgorithmSpec]:
    """``entropy``, for the engine of somebody else."""
    yield AlgorithmSpec(
        name="entropy",
        engine="fast-dllm",
        target="llada_entropy.decoder:EntropyGeneration",
        summary="Commits the surest tokens by their entropy, up to a budget a step (arXiv 2505.24857).",
        parameters=(
            standard("gen_length"),
            standard("block_length"),
            standard("seed"),
            standard("early_stop"),
            *SAMPLING,
            ENTROPY_BUDGET,
        ),
    )
