"""The LLaDA network, for inference: a bidirectional Llama-style transformer without biases.

Arithmetic follows the published model (GSAI-ML/LLaDA-8B, ``modeling_llada.py``): RMSNorm in float32, cast
back and then scaled; half-split rotary embedding in float32; attention over every column, no causal mask.
This module does not know about algorithms, canvases or masks of tokens: it maps a `Layout` to logits.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cache import KVCache
from .checkpoint import choose_device, choose_dtype, fill
from .config import LLaDAConfig
from .layout import Group, Layout, Span
from .linear import Linear

__all__ = ["LLaDAModel"]


class RMSNorm(nn.Module):
    """``x / rms(x) * weight``: the mean square in float32, the cast back before the weight."""

    def __init__(self, width: int, eps: float, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        weight = torch.empty(width, device=device, dtype=dtype)
        self.weight, self.eps = nn.Parameter(weight, requires_grad=False), eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:  # the one rounding order there is, in fewer calls
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        wide = x.float()
        scale = wide.square().mean(-1, keepdim=True).add_(self.eps).rsqrt_()
        return (wide * scale).to(x.dtype).mul_(self.weight)


class Attention(nn.Module):
    """Grouped-query attention over the cached and the new columns of each request; no mask but padding."""

    def __init__(self, config: LLaDAConfig, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        qkv = (self.heads + 2 * self.kv_heads) * self.head_dim
        self.qkv = Linear(qkv, config.d_model, device=device, dtype=dtype)
        self.out = Linear(config.d_model, config.d_model, device=device, dtype=dtype)

    def forward(
        self,
        x: Tensor,
        residual: Tensor,
        rotary: Tensor,
        layout: Layout,
        cache: tuple[Tensor, Tensor] | None,
        *,
        head_only: bool,
    ) -> Tensor:
        """``residual + attention(x)``, ``[N, d]``; the new keys and values go to the cache where kept.

        With ``head_only`` every column brings keys, and only the head columns ask and are returned.
        """
        qkv = self.qkv(x).view(x.shape[0], -1, self.head_dim)
        rotated = _rotate(qkv[:, : self.heads + self.kv_heads], rotary)
        q, k = rotated[:, : self.heads], rotated[:, self.heads :]
        v = qkv[:, self.heads + self.kv_heads :]
        if cache is not None and layout.places is not None:
            _keep(cache, k, v, layout.kept, layout.places)
        groups = layout.groups
        if head_only and layout.head is not None:
            q, residual, groups = q[layout.head], residual[layout.head], layout.head_groups
        parts = [self._attend(group, q, k, v, cache) for group in groups]
        return self.out(parts[0] if len(parts) == 1 else torch.cat(parts), residual)

    def _attend(
        self, group: Group, q: Tensor, k: Tensor, v: Tensor, cache: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        rows, width, kv_heads = group.rows, group.width, self.kv_heads
        asking = q[group.start : group.start + rows * width]
        # Query heads that share a key head become extra queries of it: without a causal mask that is exact,
        # and keys need not be repeated. [R, W, kv, q/kv, hd] -> [R, kv, q/kv · W, hd]
        query = asking.view(rows, width, kv_heads, -1, self.head_dim).permute(0, 2, 3, 1, 4).flatten(2, 3)
        key, value = _keys(group, k, v, cache)
        mixed = F.scaled_dot_product_attention(
            query, key.transpose(1, 2), value.transpose(1, 2), attn_mask=group.mask
        )
        mixed = mixed.view(rows, kv_heads, -1, width, self.head_dim).permute(0, 3, 1, 2, 4)
        return mixed.reshape(rows * width, self.heads * self.head_dim)


def _keys(group: Group, k: Tensor, v: Tensor, cache: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """Keys and values of a group, each ``[rows, keys, kv_heads, head_dim]``."""
    if group.first is None and group.slots is None:
        own = slice(group.key_start, group.key_start + group.rows * group.keys)
        return k[own].unflatten(0, (group.rows, group.keys)), v[own].unflatten(0, (group.rows, group.keys))
    assert cache is not None
    slots = group.slots if group.first is None else slice(group.first, group.first + group.rows)
    return cache[0][slots, : group.keys], cache[1][slots, : group.keys]


def _keep(cache: tuple[Tensor, Tensor], k: Tensor, v: Tensor, kept: Tensor | None, places: Tensor) -> None:
    for store, new in zip(cache, (k, v), strict=True):
        store.flatten(0, 1).index_copy_(0, places, new if kept is None else new[kept])


def _rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """NeoX-style rotation of ``x [N, heads, hd]`` by ``rotary [2, N, 1, hd/2]`` (cos, sin) in float32."""
    cos, sin = rotary
    low, high = x.float().chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1).to(x.dtype)


class Layer(nn.Module):
    """One transformer block: attention and a gated MLP, each on the normalised residual stream."""

    def __init__(self, config: LLaDAConfig, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        width, hidden = config.d_model, config.mlp_hidden_size
        self.attention_norm = RMSNorm(width, config.rms_norm_eps, device=device, dtype=dtype)
        self.attention = Attention(config, device=device, dtype=dtype)
        self.mlp_norm = RMSNorm(width, config.rms_norm_eps, device=device, dtype=dtype)
        self.gate_up = Linear(2 * hidden, width, device=device, dtype=dtype)
        self.down = Linear(width, hidden, device=device, dtype=dtype)

    def tensors(self) -> dict[str, Tensor]:
        """The layer's weights by their published names within a block (``ff_proj`` is the gate)."""
        attention = self.attention
        query, shared = attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim
        q, k, v = attention.qkv.plain.split((query, shared, shared))
        gate, up = self.gate_up.plain.chunk(2)
        return {
            "attn_norm": self.attention_norm.weight,
            "q_proj": q,
            "k_proj": k,
            "v_proj": v,
            "attn_out": attention.out.plain,
            "ff_norm": self.mlp_norm.weight,
            "ff_proj": gate,
            "up_proj": up,
            "ff_out": self.down.plain,
        }

    def forward(
        self,
        x: Tensor,
        rotary: Tensor,
        layout: Layout,
        cache: tuple[Tensor, Tensor] | None,
        *,
        head_only: bool,
    ) -> Tensor:
        x = self.attention(self.attention_norm(x), x, rotary, layout, cache, head_only=head_only)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up, x)


class LLaDAModel(nn.Module):
    """A loaded LLaDA checkpoint. Weights are frozen and partly fused: for inference only.

    Attributes:
        config: the `LLaDAConfig`.
        device, dtype: where the weights are and what they are.
    """

    caches = True

    def __init__(self, config: LLaDAConfig, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.config, self.device, self.dtype = config, device, dtype
        vocabulary = torch.empty(config.embedding_size, config.d_model, device=device, dtype=dtype)
        self.embedding = nn.Parameter(vocabulary, requires_grad=False)
        self.layers = nn.ModuleList(Layer(config, device=device, dtype=dtype) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.rms_norm_eps, device=device, dtype=dtype)
        self.head = Linear(config.embedding_size, config.d_model, device=device, dtype=dtype)
        if config.weight_tying:
            self.head.weight = self.embedding
        self._rotary: Tensor | None = None

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> LLaDAModel:
        """The checkpoint in ``folder`` (``config.json`` and one or several ``*.safetensors``).

        Args:
            device: where to put the weights; None is the GPU if there is one, else the CPU.
            dtype: what to make of them; None is bfloat16 on a GPU and float32 on the CPU.

        Raises:
            CheckpointError: a file, field or tensor is missing, unknown, damaged or of the wrong shape.
        """
        place = choose_device(device)
        model = cls(LLaDAConfig.from_pretrained(folder), device=place, dtype=choose_dtype(dtype, place))
        fill(model.tensors(), Path(folder))
        return model.pack()

    def tensors(self) -> dict[str, Tensor]:
        """Every weight under its published name; views where the network has fused several into one."""
        named = {"wte": self.embedding, "ln_f": self.norm.weight}
        if not self.config.weight_tying:
            named["ff_out"] = self.head.plain
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            named |= {f"blocks.{index}.{name}": weight for name, weight in layer.tensors().items()}
        return {f"model.transformer.{name}.weight": weight for name, weight in named.items()}

    @torch.inference_mode()
    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits of a full pass without a cache: ``[B, T]`` int64 ids to ``[B, T, V]``, the model's dtype."""
        rows, length = input_ids.shape
        spans = [
            Span(ids=ids, lo=0, hi=length, length=length, head_lo=0, head_hi=length)
            for ids in input_ids.tolist()
        ]
        layout = Layout.of(spans, device=self.device, cache_length=0, merge=self.merges)
        return self.logits(layout, None).view(rows, length, -1)

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids``, ``[..., d]``."""
        return F.embedding(ids, self.embedding)

    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        return probabilities @ self.embedding

    def new_cache(self, *, rows: int, length: int) -> KVCache:
        """Room for the keys and values of ``rows`` sequences of up to ``length`` columns."""
        return KVCache(self.config, slots=rows, length=length, device=self.device, dtype=self.dtype)

    @property
    def merges(self) -> bool:
        """Whether requests of one shape attend in one call: on a GPU yes, on the CPU one by one (exact)."""
        return self.device.type != "cpu"

    @torch.inference_mode()
    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[head columns, V]`` of one packed forward, in the model's dtype; fills the cache."""
        x = self.embed(layout.ids)
        for start, inputs in layout.inputs:
            x[start : start + len(inputs)] = inputs
        rotary = self._rotary_at(layout.positions)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            kept = None if cache is None else cache.layer(index)
            x = layer(x, rotary, layout, kept, head_only=index == last)
        if layout.restore is not None:
            x = x[layout.restore]
        return self.head(self.norm(x))

    def _rotary_at(self, positions: Tensor) -> Tensor:
        """Cosines and sines ``[2, N, 1, hd/2]`` float32 at absolute positions ``[N]``."""
        if self._rotary is None:
            self._rotary = _rotary_table(self.config, self.device)
        return self._rotary[:, positions, None]

    def pack(self) -> LLaDAModel:
        """This model with its linear layers in the fastest layout of the device (see `Linear`)."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.pack()
        return self


def _rotary_table(config: LLaDAConfig, device: torch.device) -> Tensor:
    half = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float32) / config.head_dim
    steps = torch.arange(config.max_sequence_length, device=device, dtype=torch.float32)
    angles = torch.outer(steps, 1.0 / config.rope_theta**half)
    return torch.stack((angles.cos(), angles.sin()))
