"""The LLaDA network: the runtime's transformer under the names of LLaDA's checkpoints.

Arithmetic follows the published model (GSAI-ML/LLaDA-8B, ``modeling_llada.py``): no biases, rotary embedding
at full precision, attention over every column without a causal mask.
"""

from __future__ import annotations

from torch import Tensor

from llada_runtime.models.bidirectional import Bidirectional
from llada_runtime.models.llada_config import LLaDAConfig
from llada_runtime.network.rotary import Rotary
from llada_runtime.network.shape import Shape

__all__ = ["LLaDAModel"]

# Within a block; ``ff_proj`` is the gate.
_NAMES = {
    "attention_norm": "attn_norm",
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "out": "attn_out",
    "mlp_norm": "ff_norm",
    "gate": "ff_proj",
    "up": "up_proj",
    "down": "ff_out",
}


class LLaDAModel(Bidirectional):
    """A loaded LLaDA checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `LLaDAConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: LLaDAConfig
    config_class = LLaDAConfig

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        root = "model.transformer"
        return self._tensors(
            f"{root}.blocks", _NAMES, embedding=f"{root}.wte", norm=f"{root}.ln_f", head=f"{root}.ff_out"
        )
