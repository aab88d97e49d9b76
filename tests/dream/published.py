"""Configs as published or as forks write them: those of the family, and neighbours that are not of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.published import read_published

__all__ = ["DREAM_7B", "FAMILY", "MODELS", "STRANGERS"]

MODELS = read_published(Path(__file__).parent / "published.json")
DREAM_7B: dict[str, Any] = dict(MODELS["Dream-v0-Instruct-7B"].config)

FAMILY: dict[str, dict[str, Any]] = {
    "as published": DREAM_7B,
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
