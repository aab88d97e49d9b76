"""The LLaDA network, trainable: the arithmetic of the published model, nothing else.

Parameters are float32 and cast to the compute dtype where they are used. Every token sees every other (no
causal mask); positions count from each row's first token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]  # per layer: rotated keys and values, each [rows, heads, T, head_dim]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a network."""

    vocab_size: int = 1536
    d_model: int = 256
    n_layers: int = 8
    n_heads: int = 8
    mlp_hidden_size: int = 768
    rope_theta: float = 500000.0
    rms_norm_eps: float = 1e-5


class Linear(nn.Module):
    """A matrix without bias, cast to its input's dtype."""

    def __init__(self, d_in: int, d_out: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) * std)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def together(x: Tensor, *layers: Linear) -> tuple[Tensor, ...]:
    """Each layer's output, from one matrix product."""
    weight = torch.cat([layer.weight.to(x.dtype) for layer in layers])
    return F.linear(x, weight).split([layer.weight.shape[0] for layer in layers], dim=-1)


class RMSNorm(nn.Module):
    """Normalises in float32, casts back, then scales."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d_model)), eps

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        normed = x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return normed.to(x.dtype) * self.weight.to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """NeoX rotary embedding in float32, cast back; x is [rows, T, heads, head_dim]."""
    x32 = x.float()
    first, second = x32.chunk(2, dim=-1)
    return (x32 * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


class Block(nn.Module):
    """Attention and gated MLP, each behind a norm and added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, std = shape.d_model, 0.5 * shape.d_model**-0.5
        out_std = std / (2 * shape.n_layers) ** 0.5
        self.n_heads = shape.n_heads
        self.attn_norm, self.ff_norm = RMSNorm(d, shape.rms_norm_eps), RMSNorm(d, shape.rms_norm_eps)
        self.q_proj, self.k_proj, self.v_proj = Linear(d, d, std), Linear(d, d, std), Linear(d, d, std)
        self.attn_out = Linear(d, d, out_std)
        self.ff_proj, self.up_proj = (
            Linear(d, shape.mlp_hidden_size, std),
            Linear(d, shape.mlp_hidden_size, std),
        )
        self.ff_out = Linear(shape.mlp_hidden_size, d, out_std)

    def forward(
        self,
        h: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None = None,
        kv: tuple[Tensor, Tensor] | None = None,
        columns: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The stream after this block, and its keys and values: `kv` with `columns` [rows, T] replaced."""
        projected = together(self.attn_norm(h), self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (x.unflatten(-1, (self.n_heads, -1)) for x in projected)
        q, k, v = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2), v.transpose(1, 2)
        if kv is not None:
            assert columns is not None
            index = columns[:, None, :, None].expand_as(k)
            k, v = kv[0].scatter(2, index, k), kv[1].scatter(2, index, v)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.attn_out(mixed.transpose(1, 2).flatten(2))
        gate, up = together(self.ff_norm(h), self.ff_proj, self.up_proj)
        return h + self.ff_out(F.silu(gate) * up), (k, v)


class Network(nn.Module):
    """Token ids to hidden states, and hidden states to logits."""

    def __init__(self, shape: Shape, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape, self.dtype = shape, dtype
        self.wte = nn.Parameter(torch.randn(shape.vocab_size, shape.d_model) * 0.5)
        self.blocks = nn.ModuleList([Block(shape) for _ in range(shape.n_layers)])
        self.ln_f = RMSNorm(shape.d_model, shape.rms_norm_eps)
        self.ff_out = Linear(shape.d_model, shape.vocab_size, 0.5 * shape.d_model**-0.5)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        columns: Tensor | None = None,
    ) -> tuple[Tensor, Cache]:
        """Hidden states before the final norm, [rows, T, d_model], and every layer's keys and values.

        With a cache, the ids are those of `columns` [rows, T] alone; everything else is read from the cache.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
        cos, sin = self._angles(positions)
        h = F.embedding(ids, self.wte).to(self.dtype)
        caches: Cache = []
        for layer, block in enumerate(self.blocks):
            h, kv = block(h, cos, sin, mask, cache[layer] if cache else None, columns)
            caches.append(kv)
        return h, caches

    def logits(self, h: Tensor) -> Tensor:
        """Logits in the compute dtype."""
        return self.ff_out(self.ln_f(h))

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        head_dim = self.shape.d_model // self.shape.n_heads
        exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
        angles = positions[..., None].float() * (1.0 / self.shape.rope_theta**exponents)
        angles = torch.cat((angles, angles), dim=-1)[:, :, None]  # one angle for all heads
        return angles.cos(), angles.sin()
