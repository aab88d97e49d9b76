"""A tiny DiffusionGemma, written anew for each test that wants one: 57,436 weights, 4,432 of a vision tower.

The weights are random, and scaled so that decoding is eventful: some tokens are sure at once and others
never, some canvases end early, and some answers have an end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from tests.diffusiongemma.tiny_tokenizer import BOS, EOS, IMAGE, PAD, TURN_END, VOCABULARY, write_tokenizer

__all__ = ["CANVAS", "CONFIG", "GENERATION", "TEXT", "config_with", "network_of", "write_model"]

CANVAS = 8
TEXT: dict[str, Any] = {
    "model_type": "diffusion_gemma_text",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "global_head_dim": 16,
    "num_global_key_value_heads": 1,
    "max_position_embeddings": 512,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
    "num_experts": 4,
    "top_k_experts": 2,
    "moe_intermediate_size": 16,
    "final_logit_softcapping": 30.0,
    "use_bidirectional_attention": "vision",
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": BOS,
}
CONFIG: dict[str, Any] = {
    "model_type": "diffusion_gemma",
    "architectures": ["DiffusionGemmaForBlockDiffusion"],
    "dtype": "float32",
    "canvas_length": CANVAS,
    "tie_word_embeddings": True,
    "image_token_id": IMAGE,
    "boi_token_id": 121,
    "eoi_token_id": 122,
    "text_config": TEXT,
    "vision_config": {
        "model_type": "gemma4_vision",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "patch_size": 4,
        "position_embedding_size": 16,
        "pooling_kernel_size": 2,
    },
}
# Fewer steps than the published 48, and looser, so that canvases end in every way there is.
GENERATION: dict[str, Any] = {
    "max_denoising_steps": 6,
    "sampler_config": {"_cls_name": "EntropyBoundSamplerConfig", "entropy_bound": 1.0},
    "confidence_threshold": 0.5,
    "eos_token_id": [EOS, TURN_END],
    "pad_token_id": PAD,
}


def config_with(text: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The tiny model's ``config.json`` with some fields changed, and those of ``text`` in its text_config.

    A field given as ``...`` is left out.
    """
    inner = {**TEXT, **(text or {})}
    whole = {**CONFIG, "text_config": {k: v for k, v in inner.items() if v is not ...}, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def network_of(config: Mapping[str, Any], *, seed: int = 0) -> Any:
    """The network that this ``config.json`` describes, with random weights from ``seed``."""
    inner = {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
    network = DiffusionGemmaForBlockDiffusion(DiffusionGemmaConfig(**inner)).eval()
    source = torch.Generator().manual_seed(1 + seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            drawn = torch.randn(weight.shape, generator=source)
            if weight.dim() > 1:
                weight.copy_(drawn / weight.shape[-1] ** 0.5)
            elif "norm" in name or "scale" in name:
                weight.copy_(1 + 0.15 * drawn)
        network.model.decoder.embed_tokens.weight.mul_(3)
    return network


def write_model(
    folder: Path,
    *,
    seed: int = 0,
    tokenizer: bool = True,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
) -> Path:
    """``folder`` with a config, random weights from ``seed``, the settings of ``generation`` and, if asked
    for, a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = CONFIG if config is None else config
    network = network_of(fields, seed=seed)
    save_file(_once(network.state_dict()), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(fields, indent=2))
    settings = GENERATION if generation is None else generation
    (folder / "generation_config.json").write_text(json.dumps(settings, indent=2))
    if tokenizer:
        write_tokenizer(folder)
    return folder


def _once(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the names that transformers saves: tied ones as the decoder's alone."""
    of_decoder = {each.data_ptr() for name, each in tensors.items() if name.startswith("model.decoder.")}
    return {
        name: each.clone()
        for name, each in tensors.items()
        if name.startswith("model.decoder.") or each.data_ptr() not in of_decoder
    }
