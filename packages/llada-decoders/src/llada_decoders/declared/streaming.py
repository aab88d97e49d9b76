"""What the registry learns of ``streaming``."""

from __future__ import annotations

from llada_core import AlgorithmSpec, Parameter, standard
from llada_fastdllm.plugin import PARAMETERS as FAST_DLLM

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    *(each for each in FAST_DLLM if each.name != "early_stop"),
    standard(
        "early_stop",
        summary=(
            "Stop a row once an EOS stands with no mask before it; false decodes the EOS's block to its end, "
            "where the answer ends in any case."
        ),
    ),
    Parameter(
        name="window_size",
        kind=int,
        minimum=0,
        default=32,
        summary="Masks behind the block that are computed with it, besides the answer's last column.",
    ),
    Parameter(
        name="confidence_alpha",
        kind=float,
        minimum=0,
        maximum=1,
        default=0.3,
        summary="By which part the threshold falls while masks are filled; 0 leaves it as it is.",
    ),
)

ALGORITHM = AlgorithmSpec(
    name="streaming",
    engine="fast-dllm",
    target="llada_decoders.streaming:StreamingGeneration",
    summary="A prefix cache; of what is behind the block only a window and the last column are computed.",
    aliases=("streaming_dllm",),
    parameters=PARAMETERS,
)
