"""The network of SDAR and TraDo: the runtime's transformer under the names of Qwen3.

Qwen3 without its causal mask: queries and keys normalised per head, plain rotary embedding, no biases, and no
shift, so that row i of the logits predicts column i. Whom a column attends to, each plan says. Upstream's
norm multiplies by its weight before it casts back from float32, and this one after: in float32 the same, in
bfloat16 a difference of rounding. SDAR-MoE has the experts of Qwen3's mixture in the place of the MLP.
"""

from __future__ import annotations

from torch import Tensor

from llada_runtime import Reading, Rotary, Shape, Transformer
from llada_runtime.models.qwen import IN_LAYER, OUTSIDE

from .config import SDARConfig

__all__ = ["SDARNetwork"]


class SDARNetwork(Transformer):
    """A loaded SDAR, SDAR-MoE or TraDo checkpoint. One of experts is not split between ranks.

    Attributes:
        config: the `SDARConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: SDARConfig
    config_class = SDARConfig
    reading = Reading(attention="blocks")

    @staticmethod
    def dimensions(config: SDARConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.shape.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors("model.layers", IN_LAYER, **OUTSIDE)
