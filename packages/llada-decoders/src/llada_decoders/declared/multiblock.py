"""What the registry learns of ``multiblock``."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    standard(
        "threshold",
        maximum=None,
        default=0.5,
        default_unless=(),
        aliases=("entropy_threshold",),
        neutral=(),
        summary="Fill every open position whose entropy is at most so many nats; none fills all.",
    ),
    Parameter(
        name="block_add_threshold",
        kind=float,
        minimum=0,
        maximum=1,
        default=0.5,
        summary="Open the next block once this share of the last one is filled; 1 is one block at a time.",
    ),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
    Parameter(
        name="eos_early_stop",
        kind=bool,
        default=False,
        summary=(
            "d3LLM's early_stop: as soon as an EOS stands, all behind it is EOS, though masks are before it; "
            "these are filled with that in sight."
        ),
    ),
)

ALGORITHM = AlgorithmSpec(
    name="multiblock",
    engine="fast-dllm",
    target="llada_decoders.multiblock:MultiBlockGeneration",
    summary="Several blocks at a time, by a threshold of entropy (d3LLM's, arXiv 2601.07568).",
    aliases=("multi_block", "d3llm"),
    parameters=PARAMETERS,
)
