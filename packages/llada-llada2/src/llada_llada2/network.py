"""The LLaDA2 network: the runtime's transformer under the published names.

Queries and keys are normalised per head, and the first channels of each turn; all layers but the first ones
have experts, chosen by groups, and one MLP that every column shares. Attention is block-causal, as the plans
of this engine ask for it. Source: inclusionAI's ``modeling_llada2_moe.py``.

The router computes in float32, as that code does, whatever the weights are: in bfloat16, as SGLang may run
it, experts that are nearly as good would change places.
"""

from __future__ import annotations

from torch import Tensor

from llada_runtime import Reading, Rotary, Shape, Transformer

from .config import LLaDA2Config

__all__ = ["LLaDA2Network"]

_NAMES = {
    "attention_norm": "input_layernorm",
    "qkv": "attention.query_key_value",
    "q_norm": "attention.query_layernorm",
    "k_norm": "attention.key_layernorm",
    "out": "attention.dense",
    "mlp_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "router": "mlp.gate",
    "router.bias": "mlp.gate.expert_bias",
    "experts.gate": "mlp.experts.{}.gate_proj",
    "experts.up": "mlp.experts.{}.up_proj",
    "experts.down": "mlp.experts.{}.down_proj",
    "shared.gate": "mlp.shared_experts.gate_proj",
    "shared.up": "mlp.shared_experts.up_proj",
    "shared.down": "mlp.shared_experts.down_proj",
}


class LLaDA2Network(Transformer):
    """A loaded LLaDA2.0 or 2.1 checkpoint. Weights are frozen: for inference only.

    Attributes:
        config: the `LLaDA2Config`.
        device, dtype: where the weights are and what they are.
    """

    config: LLaDA2Config
    config_class = LLaDA2Config
    reading = Reading(attention="blocks")

    @staticmethod
    def dimensions(config: LLaDA2Config) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.rotary_channels)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors(
            "model.layers", _NAMES, embedding="model.word_embeddings", norm="model.norm", head="lm_head"
        )
