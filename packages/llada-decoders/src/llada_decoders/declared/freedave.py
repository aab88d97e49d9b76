"""What the registry learns of ``freedave``."""

from __future__ import annotations

from llada_core import AlgorithmSpec, Parameter, standard

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    standard(
        "threshold",
        default=None,
        default_unless=(),
        summary="A draft begins with every position this confident, so that the text may be another; "
        "none is one token a step.",
    ),
    standard("early_stop"),
    Parameter(
        name="draft_steps",
        kind=int,
        minimum=1,
        maximum=64,
        default=4,
        summary="States of the block that one forward computes; 1 drafts nothing.",
    ),
    Parameter(
        name="cache",
        kind=str,
        default="prefix",
        choices=("prefix", "dual"),
        coerce={False: "prefix", True: "dual"},
        aliases=("dual_cache",),
        summary="What is read from the cache: what is before the block, or all but the block.",
    ),
    Parameter(
        name="early_exit",
        kind=bool,
        default=False,
        summary="End the answer with the first block that is nothing but end tokens.",
    ),
)

ALGORITHM = AlgorithmSpec(
    name="freedave",
    engine="fast-dllm",
    target="llada_decoders.freedave:FreeDaveGeneration",
    summary="Runs the next states of a block side by side: the text of one token a step, in fewer forwards.",
    aliases=("free_dave",),
    parameters=PARAMETERS,
)
