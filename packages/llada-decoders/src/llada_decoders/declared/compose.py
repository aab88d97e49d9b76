"""``compose``: its own parameters, and what the registry learns of it."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

from .adablock import PARAMETERS as ADABLOCK

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "block_length",
        summary="Positions of a block; with schedule=adaptive of one in which no delimiter is expected.",
    ),
    Parameter(
        name="cache",
        kind=str,
        default="dual",
        coerce={None: "none"},
        examples=("none", "prefix", "frozen"),
        aliases=("policy",),
        summary="The cache policy, by its name: what a forward computes, and what it reads from the cache.",
    ),
    Parameter(
        name="horizon",
        kind=str,
        default="full",
        choices=("full", "window", "window_far"),
        summary="What is seen behind the block: all, a window, or a window and the answer's last column.",
    ),
    Parameter(
        name="window_size",
        kind=int,
        minimum=0,
        nullable=True,
        summary="Masks behind the block that a window has; none means 32.",
    ),
    Parameter(
        name="schedule",
        kind=str,
        default="fixed",
        choices=("fixed", "adaptive"),
        summary="Where blocks end: after block_length, or where the network expects a delimiter.",
    ),
    *(each for each in ADABLOCK if each.name == "delimiter_ids"),
    Parameter(
        name="delimiter_threshold",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        summary="How probable a delimiter must be at the block's first forward; none means 0.3.",
    ),
    Parameter(
        name="rule",
        kind=str,
        default="threshold",
        examples=("factor", "quota", "entropy_budget"),
        summary="The commit rule, by its name: which proposals become tokens.",
    ),
    *SAMPLING,
    standard("remasking"),
    standard("seed"),
    standard("early_stop"),
    Parameter(
        name="end_with_block",
        kind=bool,
        default=False,
        summary="End the answer with the first full block with an end token; early_stop ends it sooner.",
    ),
    Parameter(
        name="start_block_align",
        kind=bool,
        default=False,
        summary="Begin blocks at multiples of block_length, so that the first one overlaps the prompt.",
    ),
)

ALGORITHM = AlgorithmSpec(
    name="compose",
    engine="fast-dllm",
    target="llada_decoders.compose:ComposeGeneration",
    summary="A cache, a horizon, a block schedule and a commit rule by their names, of any installed wheel.",
    aliases=("composed",),
    parameters=PARAMETERS,
    parts=True,
)
