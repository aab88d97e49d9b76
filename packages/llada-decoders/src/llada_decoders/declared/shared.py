"""Parameters that several of the decoders take."""

from __future__ import annotations

from llada_core import Parameter

__all__ = ["CFG_SCALE", "order"]

CFG_SCALE = Parameter(
    name="cfg_scale",
    kind=float,
    minimum=0,
    maximum=100,  # beyond, logits of half precision may overflow
    default=0.0,
    coerce={None: 0.0},
    neutral=(0.0,),
    summary=(
        "Classifier-free guidance: how far the logits are moved away from those of a canvas whose prompt is "
        "masked, which runs in the same forward; 0 runs no such canvas."
    ),
)


def order(default: str) -> Parameter:
    """What ranks a block's positions, by ``default`` one of the three."""
    return Parameter(
        name="order",
        kind=str,
        default=default,
        choices=("confidence", "entropy", "margin"),
        summary=(
            "What ranks the positions: the token's probability, the least entropy of the distribution, or "
            "the largest margin between its two largest probabilities."
        ),
    )
