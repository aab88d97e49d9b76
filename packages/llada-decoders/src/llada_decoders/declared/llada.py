"""What the registry learns of ``llada``."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

from .shared import CFG_SCALE, order

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length", summary="Positions of a block; published: 128, the whole answer."),
    standard("steps", summary="Forwards, rounded up to a multiple of the blocks; none means gen_length."),
    *SAMPLING,
    standard("remasking"),
    order("confidence"),
    CFG_SCALE,
    Parameter(
        name="logits_eos_inf",
        kind=bool,
        default=False,
        summary="Never write the model's end-of-sequence token.",
    ),
    Parameter(
        name="confidence_eos_eot_inf",
        kind=bool,
        default=False,
        summary="Write tokens that end answers last: the confidence of one is 0.",
    ),
    Parameter(
        name="eot_id",
        kind=int,
        minimum=0,
        nullable=True,
        summary=(
            "The token that confidence_eos_eot_inf writes last besides the end of sequence; none means all "
            "that end the model's answers."
        ),
    ),
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="llada",
    engine="fast-dllm",
    target="llada_decoders.llada:LLaDAGeneration",
    summary="LLaDA's sampler: a quota a step, by confidence, entropy, margin or chance, with guidance.",
    aliases=("llada_generate",),
    parameters=PARAMETERS,
)
