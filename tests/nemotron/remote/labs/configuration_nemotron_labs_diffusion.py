"""The configuration of the tiny model of the second generation, in the shape of Ministral."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 16384,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}


class NemotronLabsDiffusionConfig(PretrainedConfig):
    model_type = "nemotron_labs_diffusion"
    ignore_keys_at_rope_validation = frozenset({"llama_4_scaling_beta"})
    attention_bias = False
    has_qk_norm = False

    def __init__(
        self,
        vocab_size: int = 131072,
        hidden_size: int = 4096,
        intermediate_size: int = 14336,
        num_hidden_layers: int = 34,
        num_attention_heads: int = 32,
        num_key_value_heads: int = 8,
        head_dim: int = 128,
        max_position_embeddings: int = 262144,
        rms_norm_eps: float = 1e-5,
        rope_parameters: dict[str, Any] | None = None,
        mask_token_id: int = -1,
        dlm_paradigm: str = "bidirectional",
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
        self.rope_parameters = dict(_ROPE if rope_parameters is None else rope_parameters)
        self.mask_token_id = mask_token_id
        self.dlm_paradigm = dlm_paradigm
        self.block_size = block_size
        kwargs.setdefault("tie_word_embeddings", False)
        # transformers 5 keeps it when it is handed on, and transformers 4 stores it like any other field.
        super().__init__(rope_parameters=self.rope_parameters, **kwargs)

    @property
    def rotary(self) -> dict[str, Any]:
        return self.rope_parameters
