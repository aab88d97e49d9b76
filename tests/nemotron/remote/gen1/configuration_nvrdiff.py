"""The configuration of the tiny model of the first generation, in the shape of Qwen3."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class NVRDiffConfig(PretrainedConfig):
    model_type = "nvrdiff"

    def __init__(
        self,
        vocab_size: int = 151936,
        hidden_size: int = 2560,
        intermediate_size: int = 9728,
        num_hidden_layers: int = 36,
        num_attention_heads: int = 32,
        num_key_value_heads: int = 8,
        head_dim: int = 128,
        max_position_embeddings: int = 40960,
        rms_norm_eps: float = 1e-6,
        rope_theta: float = 1e6,
        attention_bias: bool = False,
        disable_qk_norm: bool = False,
        mask_token_id: int = -1,
        dlm_paradigm: str = "bidirectional",
        dlm_type: str = "llada",
        block_size: int = 32,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        self.attention_bias = attention_bias
        self.disable_qk_norm = disable_qk_norm
        self.mask_token_id = mask_token_id
        self.dlm_paradigm = dlm_paradigm
        self.dlm_type = dlm_type
        self.block_size = block_size
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    @property
    def rotary(self) -> dict[str, Any]:
        given = getattr(self, "rope_parameters", None) or {}
        return {"rope_type": "default", "rope_theta": self.rope_theta, **given}

    @property
    def has_qk_norm(self) -> bool:
        return not self.disable_qk_norm
