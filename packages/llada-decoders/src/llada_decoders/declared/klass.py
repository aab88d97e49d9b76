"""What the registry learns of ``klass``."""

from __future__ import annotations

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

__all__ = ["ALGORITHM", "PARAMETERS"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length", summary="Positions of a block; published: 64."),
    standard(
        "steps",
        summary=(
            "Forwards of the schedule that is followed where nothing is ready, rounded up to a multiple of "
            "the blocks; none means gen_length."
        ),
    ),
    Parameter(
        name="conf_threshold",
        kind=float,
        minimum=0,
        maximum=1,
        default=0.9,
        aliases=("threshold", "confidence_threshold"),
        summary="A position is ready if its token is more probable than this.",
    ),
    Parameter(
        name="kl_threshold",
        kind=float,
        minimum=0,
        default=0.01,
        summary="And if its distribution moved by less than so many nats in each of the last forwards.",
    ),
    Parameter(
        name="kl_history_length",
        kind=int,
        minimum=1,
        default=2,
        summary="So many forwards must a distribution have stood still.",
    ),
    Parameter(
        name="unmask_strategy",
        kind=str,
        default="all",
        choices=("all", "max_conf", "min_kl", "random"),
        summary="Which ready positions are filled: all, or the surest, the stillest or any one of them.",
    ),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="klass",
    engine="fast-dllm",
    target="llada_decoders.klass:KLASSGeneration",
    summary="Tokens that are sure and whose distribution no longer moves (arXiv 2511.05664).",
    parameters=PARAMETERS,
)
