"""What the registry learns of ``eb_sampler``."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

from .shared import CFG_SCALE, order

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length", summary="Positions of a block; published without blocks: give gen_length."),
    Parameter(
        name="gamma",
        kind=float,
        minimum=0,
        default=0.1,
        aliases=("entropy_bound",),
        summary="Nats that the tokens of a step may have together, the last of them not counted.",
    ),
    order("entropy"),
    Parameter(
        name="tokens_per_step",
        kind=int,
        minimum=1,
        default=1,
        aliases=("num_transfer_tokens",),
        summary="At least so many tokens a step, whatever they cost.",
    ),
    *SAMPLING,
    CFG_SCALE,
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="eb_sampler",
    engine="fast-dllm",
    target="llada_decoders.eb_sampler:EBSamplerGeneration",
    summary="As many tokens a step as their entropies allow together (arXiv 2505.24857).",
    aliases=("eb",),
    parameters=PARAMETERS,
)
