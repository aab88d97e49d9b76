"""What Qwen's checkpoints, and those of the many families made from them, call their tensors.

Dense and of experts, with and without norms of queries and keys: a network has those of its own parts. See
`Transformer._tensors` for the two mappings.
"""

from __future__ import annotations

from typing import Final

__all__ = ["IN_LAYER", "OUTSIDE"]

_PROJECTIONS = ("gate", "up", "down")

IN_LAYER: Final = {
    "attention_norm": "input_layernorm",
    **{part: f"self_attn.{part}_proj" for part in ("q", "k", "v")},
    "out": "self_attn.o_proj",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
    "mlp_norm": "post_attention_layernorm",
    **{part: f"mlp.{part}_proj" for part in _PROJECTIONS},
    "router": "mlp.gate",
    **{f"experts.{part}": f"mlp.experts.{{}}.{part}_proj" for part in _PROJECTIONS},
}
"""Of a layer's parts, by our names."""

OUTSIDE: Final = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
"""Of the tensors outside the layers, by the parameters of `Transformer._tensors`."""
