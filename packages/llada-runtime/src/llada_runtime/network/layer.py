"""One block of a transformer: attention, then an MLP of some kind, each on the normalised residual stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llada_runtime.network.attention import Attention, Pool
from llada_runtime.network.layout import Layout
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.rotary import Turn
from llada_runtime.network.shape import Shape

__all__ = ["Layer"]


class Layer(nn.Module):
    """One transformer block: attention and ``mlp``, each on the normalised residual stream.

    ``mlp(x, residual)`` adds itself to the stream, and names its weights in ``tensors()``.
    """

    def __init__(self, shape: Shape, mlp: nn.Module, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(shape.width, shape.eps, device=device, dtype=dtype)
        self.attention = Attention(shape, device=device, dtype=dtype)
        self.mlp_norm = RMSNorm(shape.width, shape.eps, device=device, dtype=dtype)
        self.mlp = mlp

    def tensors(self, *, fused: bool = False) -> dict[str, Tensor]:
        """The layer's weights, as views where several are fused into one.

        With ``fused``, those of queries, keys and values are one, ``qkv``, and not three.
        """
        return {
            "attention_norm.weight": self.attention_norm.weight,
            **self.attention.tensors(fused=fused),
            "mlp_norm.weight": self.mlp_norm.weight,
            **self.mlp.tensors(),
        }

    def forward(self, x: Tensor, turn: Turn, layout: Layout, pool: Pool | None, *, head_only: bool) -> Tensor:
        """The stream ``[N, d]`` behind the layer; with ``head_only`` that of the head columns, ``[H, d]``."""
        x = self.attention(self.attention_norm(x), x, turn, layout, pool, head_only=head_only)
        return self.mlp(self.mlp_norm(x), x)
