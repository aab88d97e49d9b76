"""Two tiny diffusion models that bring their own code, written anew for each test that wants one.

``gen1`` has the shape of Qwen3 and the first generation's ``generate``; ``labs`` has that of Ministral and
the second generation's three ways to decode. The weights are random, and scaled so that decoding is eventful:
the surest and the least sure proposals are far apart, and some answers end early.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.nemotron.tiny_tokenizer import BOS, END_THINK, EOS, MASK, THINK, VOCABULARY, write_tokenizer

__all__ = [
    "BLOCK",
    "BOS",
    "END_THINK",
    "EOS",
    "MASK",
    "THINK",
    "VOCABULARY",
    "Variant",
    "random_weights",
    "write_code",
    "write_model",
]

BLOCK = 8
Variant = Literal["gen1", "labs"]

_REMOTE = Path(__file__).parent / "remote"
_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "dtype": "float32",
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "mask_token_id": MASK,
    "block_size": BLOCK,
}
_GEN1: dict[str, Any] = {
    "model_type": "nvrdiff",
    "architectures": ["DiffEncoderModel"],
    "auto_map": {
        "AutoConfig": "configuration_nvrdiff.NVRDiffConfig",
        "AutoModel": "modeling_nvrdiff.DiffEncoderModel",
    },
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "attention_bias": False,
    "disable_qk_norm": False,
    "dlm_paradigm": "bidirectional",
    "dlm_type": "llada",
}
_LABS: dict[str, Any] = {
    "model_type": "nemotron_labs_diffusion",
    "architectures": ["NemotronLabsDiffusionModel"],
    "auto_map": {
        "AutoConfig": "configuration_nemotron_labs_diffusion.NemotronLabsDiffusionConfig",
        "AutoModel": "modeling_nemotron_labs_diffusion.NemotronLabsDiffusionModel",
    },
    "rms_norm_eps": 1e-5,
    # A short original length, so that the ramp of YaRN and the scaling of the queries act on short texts.
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 1e4,
        "factor": 16.0,
        "original_max_position_embeddings": 32,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": 0.1,
    },
    # Training's attention: fine-tuned checkpoints often still name it, so whoever loads must override it.
    "dlm_paradigm": "block_diff",
}
_CONFIGS: dict[Variant, dict[str, Any]] = {"gen1": {**_COMMON, **_GEN1}, "labs": {**_COMMON, **_LABS}}
# What makes decoding eventful; tests/nemotron/test_tiny_models.py says what that means.
_FIRST_SEED = 9
_HEAD_SCALE, _EOS_SCALE, _QK_SCALE, _MASK_SCALE = 5.0, 1.3, 2.0, 0.3


def write_model(
    folder: Path,
    variant: Variant,
    *,
    seed: int = 0,
    tokenizer: bool = True,
    predict_mask: bool = False,
    **config_overrides: Any,
) -> Path:
    """``folder`` with a config, its code, random weights from ``seed`` and, if asked for, a tokenizer.

    Fields of config.json are replaced or added by ``config_overrides``; one given as ``...`` is left out. The
    mask id is never the likeliest token, unless ``predict_mask`` lets the network like it now and then.
    """
    fields = {**_CONFIGS[variant], **config_overrides}
    config = {name: value for name, value in fields.items() if value is not ...}
    write_code(folder, variant, config)
    shapes = {**_CONFIGS[variant], **config}
    weights = random_weights(variant, shapes, seed=seed, predict_mask=predict_mask)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer:
        write_tokenizer(folder)
    return folder


def write_code(folder: Path, variant: Variant, config: dict[str, Any]) -> None:
    """``folder`` with this config and the code of the variant."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    for source in (_REMOTE / variant, _REMOTE / "shared"):
        for file in source.glob("*.py"):
            shutil.copy(file, folder)


def random_weights(
    variant: Variant, config: dict[str, Any], *, seed: int = 0, predict_mask: bool = False
) -> dict[str, Tensor]:
    """The tensors of the model that ``config`` describes, by name.

    Channel 0 of the residual stream is the same for every token and no layer writes to it, so the head can
    hold a steady dislike of the mask id there.
    """
    draw = _Draw(_FIRST_SEED + seed)
    width, vocabulary = config["hidden_size"], config["vocab_size"]
    masks, ends = (_rows(config.get(name), vocabulary) for name in ("mask_token_id", "eos_token_id"))
    embedding = draw.matrix(vocabulary, width, scale=width**0.5)
    embedding[masks] *= _MASK_SCALE
    embedding[:, 0] = 2.0
    weights = {"encoder.embed_tokens.weight": embedding}
    for index in range(config["num_hidden_layers"]):
        layer = _layer_weights(variant, config, draw)
        weights |= {f"encoder.layers.{index}.{name}": tensor for name, tensor in layer.items()}
    norm, head = draw.norm(width), draw.matrix(vocabulary, width, scale=_HEAD_SCALE)
    norm[0], head[:, 0] = 1.0, 0.0
    head[ends] *= _EOS_SCALE
    if predict_mask:
        head[masks] *= 2.0
    else:
        head[masks] = 0.0
        head[masks, 0] = -100.0
    return {**weights, "encoder.norm.weight": norm, "diffusion_head.weight": head}


class _Draw:
    """Random tensors, one after the other, from one seed."""

    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)

    def matrix(self, rows: int, columns: int, scale: float = 1.0) -> Tensor:
        """``scale`` is that of the output for an input of scale 1."""
        return torch.randn(rows, columns, generator=self.source) * scale / columns**0.5

    def norm(self, width: int, scale: float = 1.0) -> Tensor:
        return scale + torch.randn(width, generator=self.source) * 0.15


def _layer_weights(variant: Variant, config: dict[str, Any], draw: _Draw) -> dict[str, Tensor]:
    width, hidden, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    wide, shared = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    has_norms = variant == "gen1" and not config["disable_qk_norm"]
    sharpness = 1.0 if has_norms else _QK_SCALE
    layer = {
        "input_layernorm.weight": draw.norm(width),
        "post_attention_layernorm.weight": draw.norm(width),
        "self_attn.q_proj.weight": draw.matrix(wide, width, scale=sharpness),
        "self_attn.k_proj.weight": draw.matrix(shared, width, scale=sharpness),
        "self_attn.v_proj.weight": draw.matrix(shared, width),
        "self_attn.o_proj.weight": draw.matrix(width, wide, scale=1.5),
        "mlp.gate_proj.weight": draw.matrix(hidden, width, scale=1.5),
        "mlp.up_proj.weight": draw.matrix(hidden, width, scale=1.5),
        "mlp.down_proj.weight": draw.matrix(width, hidden, scale=1.5),
    }
    if has_norms:
        layer |= {f"self_attn.{name}_norm.weight": draw.norm(head, scale=_QK_SCALE) for name in "qk"}
    if variant == "gen1" and config["attention_bias"]:
        sizes = {"q": wide, "k": shared, "v": shared, "o": width}
        layer |= {f"self_attn.{name}_proj.bias": draw.matrix(1, size)[0] for name, size in sizes.items()}
        layer["self_attn.o_proj.bias"][0] = 0.0
    for name in ("self_attn.o_proj.weight", "mlp.down_proj.weight"):
        layer[name][0] = 0.0
    return layer


def _rows(tokens: Any, vocabulary: int) -> list[int]:
    """The ids in a field of the config, which may hold one, several or none, that are in the vocabulary."""
    several = tokens if isinstance(tokens, list) else [tokens]
    return [token for token in several if isinstance(token, int) and 0 <= token < vocabulary]
