"""The LLaDA-MoE network: the runtime's transformer under the names of these checkpoints.

Arithmetic follows the published model (inclusionAI/LLaDA-MoE-7B-A1B, ``modeling_lladamoe.py``, OLMoE's
without the causal mask): queries and keys are normalised per head, scores are a softmax over all experts,
and those of the chosen ones are not brought to a sum of 1, whatever ``norm_topk_prob`` says: the published
code ignores it. A bias of the experts, where the config enables it, is in the weights too. The router and
the sum over experts are float32 here in any dtype; the published code rounds them to the model's.
"""

from __future__ import annotations

from torch import Tensor

from llada_runtime.models.bidirectional import Bidirectional
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from llada_runtime.models.qwen import IN_LAYER, OUTSIDE
from llada_runtime.network.rotary import Rotary
from llada_runtime.network.shape import Shape

__all__ = ["LLaDAMoEModel"]

_NAMES = {**IN_LAYER, "router.bias": "mlp.expert_bias"}


class LLaDAMoEModel(Bidirectional):
    """A loaded LLaDA-MoE checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `LLaDAMoEConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: LLaDAMoEConfig
    config_class = LLaDAMoEConfig

    @staticmethod
    def dimensions(config: LLaDAMoEConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.shape.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors("model.layers", _NAMES, **OUTSIDE)
