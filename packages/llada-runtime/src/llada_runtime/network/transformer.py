"""A Llama-style transformer for inference on packed rows: what the networks of different papers share.

A `Layout` says which columns of which requests are computed and whom they attend to; the network maps it
to logits. RMSNorm in float32, cast back and then scaled; half-split rotary embedding in float32. This module
does not know names of checkpoints, algorithms, canvases or masks of tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_runtime.network.cache import KVCache
from llada_runtime.network.checkpoint import choose_device, choose_dtype, fill
from llada_runtime.network.layout import Group, Layout
from llada_runtime.network.linear import Linear

__all__ = ["Rotary", "Shape", "Transformer", "Turn"]

TransformerT = TypeVar("TransformerT", bound="Transformer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers of a network. ``qk_norm`` normalises queries and keys per head, ``qkv_bias`` and
    ``out_bias`` belong to the attention's projections, ``tied`` makes the embedding the head."""

    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mlp_width: int
    vocabulary: int
    eps: float
    qk_norm: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    tied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary:
    """How far a column's position turns its queries and keys.

    Attributes:
        frequencies: float32 ``[hd/2]``, radians a position; on the device of the positions.
        scale: of cosines and sines.
        query_growth, growth_from: after rotation, queries are multiplied by ``1 + query_growth · ln(1 +
            ⌊position / growth_from⌋)``, as in Llama 4; a growth of 0 is none.
    """

    frequencies: Tensor
    scale: float = 1.0
    query_growth: float = 0.0
    growth_from: int = 1

    @classmethod
    def plain(cls, theta: float, head_dim: int) -> Rotary:
        """The frequencies ``theta ** (-2i / hd)`` of RoFormer (arXiv 2104.09864)."""
        half = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        return cls(frequencies=1.0 / theta**half)

    def at(self, positions: Tensor) -> Turn:
        """The turn of columns at ``positions``, int64 ``[N]``."""
        angles = torch.outer(positions.float(), self.frequencies)
        cos, sin = angles.cos() * self.scale, angles.sin() * self.scale
        growth = None
        if self.query_growth:
            growth = 1 + self.query_growth * torch.log1p(positions // self.growth_from)[:, None, None]
        return Turn(
            cos=torch.cat((cos, cos), dim=-1)[:, None],
            sin=torch.cat((-sin, sin), dim=-1)[:, None],
            growth=growth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The rotation of N packed columns, float32.

    ``cos`` and ``sin`` are ``[N, 1, hd]``, both halves of a head; the first half of ``sin`` is negative.
    ``growth`` is ``[N, 1, 1]``, or None where queries stay as they are.
    """

    cos: Tensor
    sin: Tensor
    growth: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """``x [N, heads, hd]``, each pair of channels ``(i, i + hd/2)`` rotated; computed in float32."""
        swapped = x.roll(x.shape[-1] // 2, dims=-1)
        return (x * self.cos).addcmul_(swapped, self.sin).to(x.dtype)


class RMSNorm(nn.Module):
    """``x / rms(x) * weight``: the mean square in float32, the cast back before the weight."""

    def __init__(self, width: int, eps: float, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        weight = torch.empty(width, device=device, dtype=dtype)
        self.weight, self.eps = nn.Parameter(weight, requires_grad=False), eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:  # the one rounding order there is, in fewer calls
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.rms_norm(x, self.weight.shape, eps=self.eps).mul_(self.weight)


class Attention(nn.Module):
    """Grouped-query attention over the cached and the new columns of each request."""

    def __init__(self, shape: Shape, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.n_heads, shape.n_kv_heads, shape.head_dim
        query, qkv = self.heads * self.head_dim, (self.heads + 2 * self.kv_heads) * self.head_dim
        self.qkv = Linear(qkv, shape.width, bias=shape.qkv_bias, device=device, dtype=dtype)
        self.out = Linear(shape.width, query, bias=shape.out_bias, device=device, dtype=dtype)
        self.q_norm: RMSNorm | None = None
        self.k_norm: RMSNorm | None = None
        if shape.qk_norm:
            self.q_norm = RMSNorm(self.head_dim, shape.eps, device=device, dtype=dtype)
            self.k_norm = RMSNorm(self.head_dim, shape.eps, device=device, dtype=dtype)

    def tensors(self) -> dict[str, Tensor]:
        """The attention's weights, those of queries, keys and values as views of the fused one."""
        query, shared = self.heads * self.head_dim, self.kv_heads * self.head_dim
        named = {"out.weight": self.out.plain}
        for kind, fused in (("weight", self.qkv.plain), ("bias", self.qkv.bias)):
            if fused is not None:
                q, k, v = fused.split((query, shared, shared))
                named |= {f"q.{kind}": q, f"k.{kind}": k, f"v.{kind}": v}
        if self.out.bias is not None:
            named["out.bias"] = self.out.bias
        if self.q_norm is not None and self.k_norm is not None:
            named |= {"q_norm.weight": self.q_norm.weight, "k_norm.weight": self.k_norm.weight}
        return named

    def forward(
        self,
        x: Tensor,
        residual: Tensor,
        turn: Turn,
        layout: Layout,
        cache: tuple[Tensor, Tensor] | None,
        *,
        head_only: bool,
    ) -> Tensor:
        """``residual + attention(x)``, ``[N, d]``; the new keys and values go to the cache where kept.

        With ``head_only`` every column brings keys, and only the head columns ask and are returned.
        """
        q, k, v = self._project(x, turn)
        if cache is not None and layout.places is not None:
            _keep(cache, k, v, layout.kept, layout.places)
        groups = layout.groups
        if head_only and layout.head is not None:
            q, residual, groups = q[layout.head], residual[layout.head], layout.head_groups
        parts = [self._attend(group, q, k, v, cache) for group in groups]
        return self.out(parts[0] if len(parts) == 1 else torch.cat(parts), residual)

    def _project(self, x: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries ``[N, heads, hd]``, keys and values ``[N, kv_heads, hd]`` of ``x [N, d]``, in position."""
        qkv = self.qkv(x).view(x.shape[0], -1, self.head_dim)
        together = self.heads + self.kv_heads
        if self.q_norm is not None and self.k_norm is not None:
            normed = (self.q_norm(qkv[:, : self.heads]), self.k_norm(qkv[:, self.heads : together]))
            rotated = turn(torch.cat(normed, dim=1))
        else:
            rotated = turn(qkv[:, :together])
        q = rotated[:, : self.heads]
        q = q if turn.growth is None else q * turn.growth.to(q.dtype)
        return q, rotated[:, self.heads :], qkv[:, together:]

    def _attend(
        self, group: Group, q: Tensor, k: Tensor, v: Tensor, cache: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        asking = q[group.start : group.start + group.rows * group.width]
        query = asking.view(group.rows, group.width, self.heads, self.head_dim)
        key, value = (part.transpose(1, 2) for part in _keys(group, k, v, cache))
        mixed = self._causal(query, key, value) if group.causal else self._masked(query, key, value, group)
        return mixed.reshape(group.rows * group.width, self.heads * self.head_dim)

    def _causal(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2), key, value, is_causal=True, enable_gqa=self.heads != self.kv_heads
        )
        return mixed.transpose(1, 2)

    def _masked(self, query: Tensor, key: Tensor, value: Tensor, group: Group) -> Tensor:
        rows, width, kv_heads = group.rows, group.width, self.kv_heads
        # Query heads that share a key head become extra queries of it, with the same mask: that is exact,
        # and keys need not be repeated. [R, W, kv, q/kv, hd] -> [R, kv, q/kv · W, hd]
        folded = query.view(rows, width, kv_heads, -1, self.head_dim).permute(0, 2, 3, 1, 4)
        mask = group.mask
        if mask is not None and mask.shape[2] > 1:
            mask = mask.repeat(1, 1, self.heads // kv_heads, 1)
        mixed = F.scaled_dot_product_attention(folded.flatten(2, 3), key, value, attn_mask=mask)
        return mixed.view(rows, kv_heads, -1, width, self.head_dim).permute(0, 3, 1, 2, 4)


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


class Layer(nn.Module):
    """One transformer block: attention and a gated MLP, each on the normalised residual stream."""

    def __init__(self, shape: Shape, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        width, hidden = shape.width, shape.mlp_width
        self.attention_norm = RMSNorm(width, shape.eps, device=device, dtype=dtype)
        self.attention = Attention(shape, device=device, dtype=dtype)
        self.mlp_norm = RMSNorm(width, shape.eps, device=device, dtype=dtype)
        self.gate_up = Linear(2 * hidden, width, device=device, dtype=dtype)
        self.down = Linear(width, hidden, device=device, dtype=dtype)

    def tensors(self) -> dict[str, Tensor]:
        """The layer's weights, as views where several are fused into one."""
        gate, up = self.gate_up.plain.chunk(2)
        return {
            "attention_norm.weight": self.attention_norm.weight,
            **self.attention.tensors(),
            "mlp_norm.weight": self.mlp_norm.weight,
            "gate.weight": gate,
            "up.weight": up,
            "down.weight": self.down.plain,
        }

    def forward(
        self,
        x: Tensor,
        turn: Turn,
        layout: Layout,
        cache: tuple[Tensor, Tensor] | None,
        *,
        head_only: bool,
    ) -> Tensor:
        x = self.attention(self.attention_norm(x), x, turn, layout, cache, head_only=head_only)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up, x)


class Transformer(nn.Module):
    """A loaded checkpoint of some kind. Weights are frozen and partly fused: for inference only.

    A subclass says how a kind of checkpoint is configured, what follows from that, and what its tensors are
    called.

    Attributes:
        config: what ``config_class`` read.
        shape: the numbers.
        device, dtype: where the weights are and what they are.
    """

    caches = True

    config_class: ClassVar[Any]
    """Its ``from_pretrained(folder)`` reads ``config.json``, and raises CheckpointError."""

    def __init__(self, config: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        shape, rotary = self.dimensions(config)
        self.config, self.shape, self.device, self.dtype = config, shape, device, dtype
        vocabulary = torch.empty(shape.vocabulary, shape.width, device=device, dtype=dtype)
        self.embedding = nn.Parameter(vocabulary, requires_grad=False)
        self.layers = nn.ModuleList(Layer(shape, device=device, dtype=dtype) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.width, shape.eps, device=device, dtype=dtype)
        self.head = Linear(shape.vocabulary, shape.width, device=device, dtype=dtype)
        if shape.tied:
            self.head.weight = self.embedding
        self._rotary = replace(rotary, frequencies=rotary.frequencies.to(device))
        self._turned: tuple[Tensor, Turn] | None = None

    @classmethod
    def from_pretrained(
        cls: type[TransformerT],
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> TransformerT:
        """The checkpoint in ``folder`` (``config.json`` and one or several ``*.safetensors``).

        Args:
            device: where to put the weights; None is the GPU if there is one, else the CPU.
            dtype: what to make of them; None is bfloat16 on a GPU and float32 on the CPU.

        Raises:
            CheckpointError: a file, field or tensor is missing, unknown, damaged or of the wrong shape.
            UnsupportedArchitecture: the network does not implement what ``config.json`` asks for.
        """
        place = choose_device(device)
        config = cls.config_class.from_pretrained(folder)
        network = cls(config, device=place, dtype=choose_dtype(dtype, place))
        fill(network.tensors(), Path(folder))
        return network.pack()

    @staticmethod
    @abstractmethod
    def dimensions(config: Any) -> tuple[Shape, Rotary]:
        """The numbers of a network that is configured so. May raise UnsupportedArchitecture."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Every weight under its published name; views where the network has fused several into one."""

    def _tensors(
        self, layers: str, names: Mapping[str, str], *, embedding: str, norm: str, head: str
    ) -> dict[str, Tensor]:
        """`tensors` under these names: ``layers`` is before the index of one, ``names`` are by ours."""
        named = {f"{embedding}.weight": self.embedding, f"{norm}.weight": self.norm.weight}
        if not self.shape.tied:
            named[f"{head}.weight"] = self.head.plain
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            for name, tensor in layer.tensors().items():
                part, _, kind = name.partition(".")
                named[f"{layers}.{index}.{names[part]}.{kind}"] = tensor
        return named

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids``, ``[..., d]``."""
        return F.embedding(ids, self.embedding)

    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        return probabilities @ self.embedding

    def new_cache(self, *, rows: int, length: int) -> KVCache:
        """Room for the keys and values of ``rows`` sequences of up to ``length`` columns."""
        return KVCache(self.shape, slots=rows, length=length, device=self.device, dtype=self.dtype)

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
        turn = self._turn_at(layout.positions)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            kept = None if cache is None else cache.layer(index)
            x = layer(x, turn, layout, kept, head_only=index == last)
        if layout.restore is not None:
            x = x[layout.restore]
        return self.head(self.norm(x))

    def _turn_at(self, positions: Tensor) -> Turn:
        """The rotation at absolute positions ``[N]``: the last one again for the very same tensor."""
        last = self._turned
        if last is not None and last[0] is positions:
            return last[1]
        turn = self._rotary.at(positions)
        self._turned = (positions, turn)
        return turn

    def pack(self: TransformerT) -> TransformerT:
        """This model with its linear layers in the fastest layout of the device (see `Linear`)."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.pack()
        return self
