"""LLaDA models made on the spot: a random one, and one that wants a single token everywhere."""

from __future__ import annotations

import torch

from llada_runtime import LLaDAConfig, LLaDAModel

MASK, EOS, VOCABULARY = 60, 59, 64

CONFIG = LLaDAConfig(
    d_model=32,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    mlp_hidden_size=48,
    embedding_size=VOCABULARY,
    vocab_size=VOCABULARY,
    max_sequence_length=256,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    weight_tying=False,
    mask_token_id=MASK,
    eos_token_id=EOS,
)


def _filled(scale: float) -> LLaDAModel:
    model = LLaDAModel(CONFIG, device=torch.device("cpu"), dtype=torch.float32)
    source = torch.Generator().manual_seed(0)
    for name, tensor in sorted(model.tensors().items()):
        tensor.copy_(torch.randn(tensor.shape, generator=source) * (1.0 if "norm" in name else scale))
    return model


@torch.no_grad()
def random_model() -> LLaDAModel:
    return _filled(0.4).pack()


@torch.no_grad()
def constant_model(token: int) -> LLaDAModel:
    """Every position proposes ``token`` above all, whatever the canvas."""
    model = _filled(0.0)
    tensors = model.tensors()
    tensors["model.transformer.wte.weight"].fill_(1.0)
    tensors["model.transformer.ln_f.weight"].fill_(1.0)
    tensors["model.transformer.ff_out.weight"].normal_(std=0.01, generator=torch.Generator().manual_seed(1))
    tensors["model.transformer.ff_out.weight"][token] = 1.0
    return model.pack()
