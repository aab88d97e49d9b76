"""The Dream network: the runtime's transformer under the names of Dream's checkpoints.

Arithmetic follows the published model (Dream-org/Dream-v0-Base-7B, ``modeling_dream.py``): Qwen2.5 without
its causal mask, with biases of queries, keys and values. Its logits are those of the *next* column: row i
tells of the token at i + 1. They are left so here; who decodes asks one column before (`Plan.shift`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from llada_runtime import RemoteNetwork, Rotary, Shape, Transformer
from llada_runtime.models.steps import planned_steps_of

from .config import DreamConfig

__all__ = ["DreamNetwork", "planned_steps", "tells_of_its_own"]

_NAMES = {
    "attention_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "out": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}


class DreamNetwork(Transformer):
    """A loaded Dream checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `DreamConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: DreamConfig
    config_class = DreamConfig

    @staticmethod
    def dimensions(config: DreamConfig) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(config.rope_theta, config.head_dim)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors(
            "model.layers", _NAMES, embedding="model.embed_tokens", norm="model.norm", head="lm_head"
        )


def tells_of_its_own(network: Any) -> bool:
    """Whether this is a network of another family, whose logits at a column are those of that column."""
    inner = network
    while not isinstance(inner, Transformer) and hasattr(inner, "network"):  # it stands around another
        inner = inner.network
    return isinstance(inner, Transformer | RemoteNetwork) and not isinstance(inner, DreamNetwork)


def planned_steps(config: Mapping[str, Any], *, device: str, dtype: str) -> str:
    """One sentence on how the network with this parsed ``config.json`` would run its steps.

    Raises CheckpointError and UnsupportedArchitecture as ``DreamNetwork.from_pretrained``.
    """
    return planned_steps_of(DreamNetwork, config, device=device, dtype=dtype)
