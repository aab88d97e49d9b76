"""``wino``: its parameters and what the registry learns of it."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "block_length",
        summary="Positions of a block; blocks are decoded from left to right. Published: 128.",
    ),
    *SAMPLING,
    standard(
        "threshold",
        nullable=False,
        default=0.6,
        default_unless=(),
        summary="Write every position more confident than this; published configurations have 0.5.",
    ),
    Parameter(
        name="threshold_back",
        kind=float,
        minimum=0,
        maximum=1,
        default=0.9,
        summary="Take back a token less probable than this given all others; 0 takes none back.",
    ),
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="wino",
    engine="fast-dllm",
    target="llada_decoders.wino:WinoGeneration",
    summary="Writes many positions at a low threshold, and takes back those that the others do not bear out.",
    aliases=("wide_in_narrow_out",),
    parameters=PARAMETERS,
)
