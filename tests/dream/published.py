"""Configs as published or as forks write them: those of the family, and neighbours that are not of it."""

from __future__ import annotations

from typing import Any

__all__ = ["DREAM_7B", "FAMILY", "STRANGERS"]

DREAM_7B: dict[str, Any] = {
    "architectures": ["DreamModel"],
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_dream.DreamConfig",
        "AutoModel": "modeling_dream.DreamModel",
    },
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "mask_token_id": 151666,
    "max_position_embeddings": 131072,
    "max_window_layers": 28,
    "model_type": "Dream",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "pad_token_id": 151643,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}

FAMILY: dict[str, dict[str, Any]] = {
    "Dream-v0-Instruct-7B": DREAM_7B,
    "Dream-Coder-v0-Instruct-7B": {**DREAM_7B, "max_position_embeddings": 32768},
    "DiffuCoder-7B-cpGRPO": {**DREAM_7B, "transformers_version": "4.46.2"},
    "a fine-tune that keeps the type alone": {**DREAM_7B, "architectures": ["MyDream"]},
    "a fine-tune that keeps the class alone": {**DREAM_7B, "model_type": "my_dream"},
    "written by transformers 5": {
        **{name: value for name, value in DREAM_7B.items() if name != "rope_theta"},
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
        "layer_types": ["full_attention"] * 28,
    },
}

STRANGERS: dict[str, tuple[dict[str, Any], str]] = {
    "CoDA": (
        {
            "model_type": "CoDA",
            "architectures": ["CoDALanguageModel"],
            "auto_map": {"AutoModel": "modeling_coda.CoDALanguageModel"},
            "mask_token_id": 151669,
        },
        "is a CoDA model, whose network is Qwen3's",
    ),
    "plain Qwen2.5": (
        {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]},
        "no known engine takes",
    ),
    "plain Qwen3": ({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}, "no known engine takes"),
    "Fast-dLLM v2": (
        {"model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"]},
        "is a Fast-dLLM v2 model",
    ),
    "a Dream of another make": (
        {"model_type": "dreamer", "architectures": ["DreamerModel"]},
        "is a Dream model",
    ),
}
