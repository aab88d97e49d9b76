"""A transformer's forward from fused kernels, on the GPUs that these were measured on.

Between two products there is one kernel: residual and norm; rotation and keeping of keys and values; SwiGLU.
Layers of experts are `expert_products`' part.
The weights are the plain network's, as they are; `products` says how each is multiplied. A transformer runs
all of its forwards so, or none: `why_plain` says why not. This module needs no Triton to be imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from llada_core.imports import LazyModule
from llada_runtime.network import products
from llada_runtime.network.attention import Attention, Pool
from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Call, Ragged
from llada_runtime.network.expert_products import mixture
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.grouped import why_one_by_one
from llada_runtime.network.layer import Layer
from llada_runtime.network.layout import Layout
from llada_runtime.network.linear import Linear
from llada_runtime.network.machine import why_no_kernels
from llada_runtime.network.mlp import GatedMLP
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.rotary import Rotary, Turn
from llada_runtime.network.shape import Shape

if TYPE_CHECKING:
    from llada_runtime.network import kernels
    from llada_runtime.network.kernels import Plan, Split
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["Fused", "why_plain"]

_FEW = 64  # columns that a row asks with, up to which the kernel is faster than FlashAttention


def why_plain(
    shape: Shape, rotary: Rotary, layers: Sequence[nn.Module], *, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Why a transformer of these parts runs on torch's own kernels; None where it can be `Fused`."""
    unfit = why_no_kernels(device)
    if unfit is not None:
        return unfit
    if dtype != torch.bfloat16:
        return f"the weights are {str(dtype).removeprefix('torch.')}, and the kernels compute in bfloat16"
    if shape.experts is not None:
        because = why_one_by_one(device, dtype, shape.width, shape.experts.width)
        if because is not None:
            return f"layers have experts, which run one by one, as {because}"
    return _unfit_network(shape, rotary, layers)


def _unfit_network(shape: Shape, rotary: Rotary, layers: Sequence[nn.Module]) -> str | None:
    if rotary.query_growth:
        return "queries grow with their position, which no kernel does"
    if rotary.channels & (rotary.channels - 1):
        turned = f"{rotary.channels} of the {shape.head_dim} channels of a head turn"
        return f"{turned}, and the kernels turn a power of two"
    if shape.head_dim not in (64, 128, 256):
        return f"heads have {shape.head_dim} channels, and the kernels take 64, 128 or 256"
    shared = shape.experts.shared_width if shape.experts else 0
    dense = any(shape.experts_of(layer) is None for layer in range(shape.n_layers))
    odd = next((width for width in (shape.mlp_width if dense else 0, shared) if width % 64), None)
    if odd is not None:
        return f"the MLP has {odd} channels, and the kernels take multiples of 64"
    if shape.n_heads % shape.n_kv_heads:
        return f"{shape.n_heads} heads do not share {shape.n_kv_heads} heads of keys evenly"
    if not all(isinstance(layer, Layer) and type(layer.mlp) in (GatedMLP, ExpertMLP) for layer in layers):
        return "a layer has another MLP than those that the kernels know"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forward:
    """What all layers of one forward share.

    Attributes:
        places: int ``[N]``, where in the pool each packed column is kept, negative where it is not; None
            where none is.
        pooled: every row attends to keys of the pool, where its own are kept too.
    """

    layout: Layout
    turn: Turn
    places: Tensor | None
    pooled: bool

    @classmethod
    def of(cls, layout: Layout, turn: Turn, cache: KVCache | None) -> _Forward:
        form, places = layout.form, None
        if cache is not None and form.kept_columns:
            places = layout.places
            if not form.keeps_all:
                nowhere = torch.full_like(layout.positions, -1)
                places = nowhere.index_copy_(0, layout.kept, layout.places)
        pooled = form.keeps_all and all(isinstance(call, Ragged) or call.pooled for call in layout.calls)
        return cls(layout=layout, turn=turn, places=places, pooled=pooled)


class Fused:
    """The layers, the last norm and the head of a transformer that `why_plain` has no objection to.

    Args:
        processors: of the GPU; what programs there are is spread over them.
        overlap: kernels may start while the one before them still runs.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        norm: RMSNorm,
        head: Linear,
        *,
        processors: int,
        overlap: bool = True,
    ) -> None:
        self._layers = [layer for layer in layers if isinstance(layer, Layer)]
        self._norm, self._head, self._processors, self._overlap = norm, head, processors, overlap
        self._halves = all(map(products.takes_halves, self._weights()))

    def logits(self, stream: Tensor, turn: Turn, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[H, V]`` of the columns whose embeddings are ``stream [N, d]``, which is overwritten."""
        forward, added = _Forward.of(layout, turn, cache), None
        for index, layer in enumerate(self._layers):
            pool = None if cache is None else cache.layer(index)
            head_only = index == len(self._layers) - 1 and not layout.form.asks_all
            stream, added = self._layer(layer, stream, added, forward, pool, head_only=head_only)
        plan = self._plan(len(stream))
        normed = products.normed(self._norm, stream, added, self._head, plan)
        if not layout.form.in_order:
            normed = normed[layout.restore]
        return products.head_product(normed, self._head, plan)

    def _weights(self) -> Iterator[Linear]:
        """Those of the layers' products, but for what chooses experts and what these compute."""
        for layer in self._layers:
            mlp = layer.mlp.shared if isinstance(layer.mlp, ExpertMLP) else layer.mlp
            parts = [*layer.attention.modules(), *(() if mlp is None else mlp.modules())]
            yield from (part for part in parts if isinstance(part, Linear))

    def _plan(self, columns: int) -> Plan:
        plan = kernels.plan_for(columns, halves=self._halves)
        return plan if self._overlap else replace(plan, overlap=False)

    def _layer(
        self,
        layer: Layer,
        stream: Tensor,
        added: Tensor | None,
        forward: _Forward,
        pool: Pool | None,
        *,
        head_only: bool,
    ) -> tuple[Tensor, Tensor]:
        """The stream ``[N, d]``, with ``head_only`` ``[H, d]``, and what is to be added, ``[S, N, d]``."""
        plan, layout, calls = self._plan(len(stream)), forward.layout, forward.layout.calls
        normed = products.normed(layer.attention_norm, stream, added, layer.attention.qkv, plan)
        q, k, v = _project(layer.attention, normed, forward, pool, plan)
        if head_only:
            q, stream, calls = q[layout.head], stream[layout.head], layout.head_calls
            plan = self._plan(len(stream))
        parts = [self._attend(layer.attention, call, q, k, v, pool, plan) for call in calls]
        mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
        added = products.summands(mixed, layer.attention.out, plan.out, plan)
        mlp = layer.mlp
        if isinstance(mlp, ExpertMLP):
            return stream, mixture(mlp, layer.mlp_norm, stream, added, plan)
        assert isinstance(mlp, GatedMLP)
        normed = products.normed(layer.mlp_norm, stream, added, mlp.gate_up, plan)
        return stream, products.summands(products.gated(mlp, normed, plan), mlp.down, plan.down, plan)

    def _attend(
        self,
        attention: Attention,
        call: Call | Ragged,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        pool: Pool | None,
        plan: Plan,
    ) -> Tensor:
        """`Attention.attend`, by a kernel that splits keys where rows of the pool ask little."""
        if not isinstance(call, Ragged) or call.widest > _FEW:
            return attention.attend(call, q, k, v, pool)
        assert pool is not None
        queries = call.widest * (attention.heads // attention.kv_heads)
        programs = call.rows * attention.kv_heads * -(-queries // plan.block[0])
        mixed = kernels.attend(
            q[call.start : call.start + call.columns],
            *pool,
            call.query_starts,
            call.key_starts,
            call.lengths,
            most=call.widest,
            splits=max(1, min(8, self._processors // programs)),
            causal=call.causal,
            block=plan.block,
            stages=plan.stages,
            overlap=plan.overlap,
        )
        return mixed.flatten(1)


def _project(
    attention: Attention, x: Tensor | Split, forward: _Forward, pool: Pool | None, plan: Plan
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of ``x [N, d]``, in position; the last two are in the pool where kept.

    Where all rows read the pool, the pool is what is returned as keys and values.
    """
    turn, places = forward.turn, forward.places
    if forward.pooled and pool and places is not None:
        q = products.project_to_pool(attention, x, turn, places, pool, plan)
        if q is not None:
            return q, *pool
    qkv = products.project(attention, x, turn, places, pool, plan)
    q, k, v = qkv.split_with_sizes((attention.heads, attention.kv_heads, attention.kv_heads), 1)
    return q, k, v
