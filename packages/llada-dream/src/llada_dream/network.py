"""The Dream network: the runtime's transformer under the names of Dream's checkpoints.

Arithmetic follows the published model (Dream-org/Dream-v0-Base-7B, ``modeling_dream.py``): Qwen2.5 without
its causal mask, with biases of queries, keys and values. Its logits are those of the *next* column: row i
tells of the token at i + 1. They are left so here; who decodes asks one column before (`Plan.shift`), and
the network declares it (`Reading`).
"""

from __future__ import annotations

from torch import Tensor

from llada_runtime import Reading, Rotary, Shape, Transformer
from llada_runtime.models.qwen import IN_LAYER, OUTSIDE

from .config import DreamConfig

__all__ = ["DreamNetwork"]


class DreamNetwork(Transformer):
    """A loaded Dream checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `DreamConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: DreamConfig
    config_class = DreamConfig
    reading = Reading(shift=1)

    @staticmethod
    def dimensions(config: DreamConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors("model.layers", IN_LAYER, **OUTSIDE)
