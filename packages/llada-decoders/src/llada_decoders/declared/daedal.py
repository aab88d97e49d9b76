"""``daedal``: its parameters and what the registry learns of it."""

from __future__ import annotations

from llada_core import SAMPLING, STANDARD, AlgorithmSpec, Parameter, standard

from .shared import CFG_SCALE

__all__ = ["ALGORITHM", "PARAMETERS"]


def _share(name: str, default: float, summary: str, maximum: float | None = 1) -> Parameter:
    return Parameter(name=name, kind=float, minimum=0, maximum=maximum, default=default, summary=summary)


PARAMETERS: tuple[Parameter, ...] = (
    standard(
        "gen_length",
        aliases=(*STANDARD["gen_length"].aliases, "max_gen_length"),
        summary="The most tokens that an answer may grow to. Published: 2048.",
    ),
    Parameter(
        name="initial_gen_length",
        kind=int,
        minimum=1,
        default=64,
        summary="Masks that an answer begins with, at most gen_length.",
    ),
    standard("block_length"),
    Parameter(
        name="expansion_factor",
        kind=int,
        minimum=1,
        default=8,
        summary="Masks that are appended at a time, and that later take the place of one; 1 is that one.",
    ),
    _share("high_conf_threshold", 0.9, "Write every position more confident than this."),
    _share(
        "low_conf_threshold", 0.1, "Put masks in at the weakest position that is less confident than this."
    ),
    _share("eos_confidence_threshold", 0.5, "The answer is long enough from this confidence in its end on."),
    _share(
        "expand_eos_confidence_threshold",
        0.9,
        "From this confidence in its end on no masks are put in; above 1 is always.",
        None,
    ),
    Parameter(
        name="eos_check_tokens",
        kind=int,
        minimum=1,
        default=32,
        summary="The confidence in the end is that of so many of the last end tokens that are foreseen.",
    ),
    *SAMPLING,
    CFG_SCALE,
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="daedal",
    engine="fast-dllm",
    target="llada_decoders.daedal:DaedalGeneration",
    summary="Finds the length of its answer: grows until its end is foreseen, and where it is most in doubt.",
    parameters=PARAMETERS,
)
