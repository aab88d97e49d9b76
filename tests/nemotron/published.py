"""Configs as published checkpoints have them, as far as they are known, and those of strangers."""

from __future__ import annotations

from typing import Any

__all__ = ["FAMILY", "STRANGERS"]

Config = dict[str, Any]

_YARN = {
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
_TRAINING = {"dlm_paradigm": "block_diff", "block_size": 32}


def _auto(module: str, config: str, model: str) -> Config:
    return {
        "auto_map": {
            "AutoConfig": f"configuration_{module}.{config}",
            "AutoModel": f"modeling_{module}.{model}",
        }
    }


def _labs(hidden: int, inner: int, layers: int, **changes: Any) -> Config:
    return {
        "model_type": "nemotron_labs_diffusion",
        "architectures": ["NemotronLabsDiffusionModel"],
        **_auto("nemotron_labs_diffusion", "NemotronLabsDiffusionConfig", "NemotronLabsDiffusionModel"),
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "vocab_size": 131072,
        "max_position_embeddings": 262144,
        "tie_word_embeddings": False,
        "rope_parameters": _YARN,
        "mask_token_id": 100,
        "bos_token_id": 1,
        "eos_token_id": 11,
        **_TRAINING,
        **changes,
    }


def _qwen3(hidden: int, inner: int, layers: int, **changes: Any) -> Config:
    return {
        "architectures": ["DiffEncoderModel"],
        **_auto("nvrdiff", "NVRDiffConfig", "DiffEncoderModel"),
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "mask_token_id": 151662,
        "eos_token_id": [151645, 151643],
        "dlm_paradigm": "bidirectional",
        "dlm_type": "llada",
        **changes,
    }


def _without(config: Config, *fields: str) -> Config:
    return {name: value for name, value in config.items() if name not in fields}


_8B = _labs(4096, 14336, 34)
_INTERNAL = {
    **_8B,
    "model_type": "ministral_dlm",
    "architectures": ["MinistralDiffEncoderModel"],
    **_auto("ministral_dlm", "MinistralDLMConfig", "MinistralDiffEncoderModel"),
    "dlm_paradigm": "sbd_block_diff",
}

FAMILY: dict[str, Config] = {
    "Nemotron-Labs-Diffusion-8B": _8B,
    "Nemotron-Labs-Diffusion-3B": _labs(3072, 9216, 26),
    "Nemotron-Labs-Diffusion-3B-Base": _labs(
        3072,
        9216,
        26,
        eos_token_id=2,
        max_position_embeddings=4096,
        rope_parameters={**_YARN, "factor": 0.25},
    ),
    "Nemotron-Labs-Diffusion-14B": _labs(5120, 16384, 40),
    "Nemotron-Labs-Diffusion-VLM-8B": {
        **_labs(4096, 14336, 34, vocab_size=131073),
        "model_type": "nemotron_labs_diffusion_vlm",
        "architectures": ["NemotronLabsDiffusionVLMModel"],
    },
    "a Labs model by its class alone": {"architectures": ["NemotronLabsDiffusionEncoderModel"]},
    "a Labs model by its type alone": {"model_type": "nemotron_labs_diffusion"},
    "Nemotron-Diffusion-Research-4B-v0": _qwen3(2560, 9728, 36),
    "Nemotron-Diffusion-Research-8B-v0": _qwen3(4096, 12288, 36),
    "Efficient-DLM-4B": {
        **_qwen3(2560, 9728, 36, dlm_paradigm="efficient_block_diff", block_size=64),
        "model_type": "edlm",
        "architectures": ["EfficientDLM"],
        **_auto("edlm", "EfficientDLMConfig", "EfficientDLM"),
    },
    "the internal Ministral": _INTERNAL,
    "a tuned class of the known code": {
        **_without(_8B, "model_type", "dlm_paradigm"),
        "architectures": ["TunedModel"],
        "auto_map": {"AutoModel": "somebody/model--modeling_nemotron_labs_diffusion.TunedModel"},
    },
    "code of the first generation under another class": {
        **_without(_qwen3(2560, 9728, 36), "dlm_paradigm"),
        "architectures": ["DiffModel"],
    },
    "renamed code that keeps the fields": {
        **_without(_INTERNAL, "auto_map"),
        "model_type": "in_house",
        "architectures": ["InHouseModel"],
    },
}
"""What the engine takes, by name."""

STRANGERS: dict[str, tuple[Config, str]] = {
    "Nemotron-4": (
        {"model_type": "nemotron", "architectures": ["NemotronForCausalLM"]},
        "an autoregressive Nemotron model",
    ),
    "Nemotron-H": (
        {"model_type": "nemotron_h", "architectures": ["NemotronHForCausalLM"]},
        "an autoregressive Nemotron model",
    ),
    "Nemotron-Labs-TwoTower-30B": (
        {
            "model_type": "nemotron_h",
            "architectures": ["NemotronHTwoTowerForCausalLM"],
            "mask_token_id": 3,
            "dlm_paradigm": "bidirectional",
        },
        "a TwoTower diffusion model",
    ),
    "Jet-Nemotron": (
        {"model_type": "jet_nemotron", "architectures": ["JetNemotronForCausalLM"]},
        "Jet-Nemotron",
    ),
    "Fast-dLLM v2": (
        {
            "model_type": "Fast_dLLM_Qwen",
            "architectures": ["Fast_dLLM_QwenForCausalLM"],
            "mask_token_id": 151665,
        },
        "a Fast-dLLM v2 model",
    ),
}
"""What bears one of the family's words and is something else, with what it is."""
