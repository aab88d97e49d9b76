"""Writes a trained network as a LLaDA checkpoint folder, and reads one to go on from."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from network import Network, Shape
from safetensors.torch import load_file, save_file
from tokenizer import BOS, EOS, MASK, save_tokenizer
from tokenizers import Tokenizer
from torch import Tensor

MAX_SEQUENCE_LENGTH = 1024


def export(network: Network, tokenizer: Tokenizer, folder: Path) -> None:
    """config.json, model.safetensors (bfloat16), generation_config.json and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(published_tensors(network), folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _config(network.shape, tokenizer))
    ids = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": EOS}
    _write_json(
        folder / "generation_config.json", {key: tokenizer.token_to_id(token) for key, token in ids.items()}
    )
    save_tokenizer(tokenizer, folder)


def published_tensors(network: Network) -> dict[str, Tensor]:
    """The parameters under the published model's names, in bfloat16."""
    return {
        _published(name): tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in network.state_dict().items()
    }


def load_published(network: Network, folder: Path) -> None:
    """Gives a network the parameters of a checkpoint of its shape."""
    tensors = load_file(folder / "model.safetensors")
    network.load_state_dict({name: tensors[_published(name)] for name in network.state_dict()})


def _published(name: str) -> str:
    return f"model.transformer.{'wte.weight' if name == 'wte' else name}"


def _config(shape: Shape, tokenizer: Tokenizer) -> dict[str, object]:
    return {
        "activation_type": "silu",
        "alibi": False,
        "architectures": ["LLaDAModelLM"],
        "attention_dropout": 0.0,
        "attention_layer_norm": False,
        "bias_for_layer_norm": False,
        "block_group_size": 1,
        "block_type": "llama",
        "d_model": shape.d_model,
        "embedding_dropout": 0.0,
        "embedding_size": shape.vocab_size,
        "eos_token_id": tokenizer.token_to_id(EOS),
        "flash_attention": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "init_device": "cpu",
        "input_emb_norm": False,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "mask_token_id": tokenizer.token_to_id(MASK),
        "max_sequence_length": MAX_SEQUENCE_LENGTH,
        "mlp_hidden_size": shape.mlp_hidden_size,
        "model_type": "llada",
        "multi_query_attention": None,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_heads,
        "n_layers": shape.n_layers,
        "pad_token_id": tokenizer.token_to_id(EOS),
        "precision": "amp_bf16",
        "residual_dropout": 0.0,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope": True,
        "rope_full_precision": True,
        "rope_theta": shape.rope_theta,
        "scale_logits": False,
        "use_cache": False,
        "vocab_size": shape.vocab_size,
        "weight_tying": False,
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
