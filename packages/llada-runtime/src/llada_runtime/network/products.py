"""The products of a fused forward, each in the way that its weight and the number of columns want.

Few columns and a tiling that fits: a kernel, which finishes its outputs before it writes them. Many: cuBLAS.
An fp8 weight is multiplied as it is, by activations that are split into two fp8 halves; where columns are
very many or sizes odd, it is converted to bfloat16, as int8 is. This module needs no Triton to be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from llada_core.imports import LazyModule
from llada_runtime.network.attention import Attention, Pool
from llada_runtime.network.linear import Linear
from llada_runtime.network.mlp import GatedMLP
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.rotary import Turn

if TYPE_CHECKING:
    from llada_runtime.network import kernels
    from llada_runtime.network.kernels import Plan, Split, Tiling
else:
    kernels = LazyModule("llada_runtime.network.kernels")  # on use: it needs Triton

__all__ = ["gated", "head_product", "normed", "project", "project_to_pool", "summands", "takes_halves"]

_MOST = 1536
"""Columns up to which twice as many in fp8 take less time than making the weight one of bfloat16."""


def takes_halves(linear: Linear, columns: int = 1) -> bool:
    """Whether the weight is multiplied as it is; the sizes are those that torch's product takes."""
    if columns > _MOST or linear.stored.dtype != torch.float8_e4m3fn or linear.bias is not None:
        return False
    return linear.in_features % 16 == linear.out_features % 16 == 0


def normed(norm: RMSNorm, stream: Tensor, added: Tensor | None, into: Linear, plan: Plan) -> Tensor | Split:
    """The normalised stream, as ``into`` takes it; what was ``added`` to it is in it from then on."""
    halved = takes_halves(into, len(stream))
    way = kernels.add_normalise_and_split if halved else kernels.add_and_normalise
    return way(stream, added, norm.weight, eps=norm.eps, overlap=plan.overlap)


def project(
    attention: Attention,
    x: Tensor | Split,
    turn: Turn,
    places: Tensor | None,
    pool: Pool | None,
    plan: Plan,
) -> Tensor:
    """Queries, keys and values of ``x``, ``[N, heads + 2 kv_heads, hd]``, normalised where the network does
    that and in position; the last two go to ``places`` of the pool too, where these are given."""
    linear, tiling, q_norm, k_norm = attention.qkv, plan.qkv, attention.q_norm, attention.k_norm
    if tiling is not None and tiling.splits == 1 and _fits(linear, tiling):
        made = kernels.product(x, linear.stored, scale=linear.scale, tiling=tiling, overlap=plan.overlap)
        qkv = made.view(len(x), -1, attention.head_dim)
    elif isinstance(x, Tensor):
        qkv = _converted(x, linear).view(len(x), -1, attention.head_dim)
    else:
        qkv = _halves(x, linear).view(len(x), 2, -1, attention.head_dim)
    keys, values = (None, None) if pool is None else pool
    kernels.rotate_and_keep(
        qkv, turn.cos, turn.sin, heads=attention.heads, places=places, keys=keys, values=values,
        norms=None if q_norm is None or k_norm is None else (q_norm.weight, k_norm.weight),
        eps=0.0 if q_norm is None else q_norm.eps,
    )  # fmt: skip
    return qkv if qkv.dim() == 3 else qkv[:, 0]


def project_to_pool(
    attention: Attention, x: Tensor | Split, turn: Turn, places: Tensor, pool: Pool, plan: Plan
) -> Tensor | None:
    """Queries of ``x``, ``[N, heads, hd]``, in position, with its keys and values in the pool alone; None
    where no kernel does it."""
    linear, tiling = attention.qkv, plan.qkv
    if tiling is None or attention.q_norm is not None or turn.cos.shape[-1] != attention.head_dim:
        return None
    if attention.head_dim % tiling.outputs or not _fits(linear, tiling):
        return None
    return kernels.rotated_product(
        x, linear.stored, turn.cos, turn.sin, places, *pool,
        scale=linear.scale, tiling=tiling, overlap=plan.overlap,
    )  # fmt: skip


def gated(mlp: GatedMLP, x: Tensor | Split, plan: Plan) -> Tensor | Split:
    """``silu(gate) * up`` of ``x``, ``[N, mlp_width]``."""
    linear, tiling = mlp.gate_up, plan.gate_up
    if tiling is None or not _fits(linear, tiling):
        way = kernels.swiglu_and_split if takes_halves(mlp.down, len(x)) else kernels.swiglu
        return way(_parts(x, linear))
    return kernels.gated_product(x, linear.stored, scale=linear.scale, tiling=tiling, overlap=plan.overlap)


def summands(x: Tensor | Split, linear: Linear, tiling: Tiling | None, plan: Plan) -> Tensor:
    """The product of ``x`` in parts that are to be added, ``[S, N, out]``; ranks have added theirs."""
    if isinstance(x, Tensor) and takes_halves(linear, len(x)):
        x = kernels.split(x, overlap=plan.overlap)
    if tiling is not None and _fits(linear, tiling):
        return linear.joined(
            kernels.product(x, linear.stored, scale=linear.scale, tiling=tiling, overlap=plan.overlap)
        )
    return _parts(x, linear)


def head_product(x: Tensor | Split, linear: Linear, plan: Plan) -> Tensor:
    """Logits ``[N, V]`` of ``x``."""
    tiling = plan.head
    if tiling is None or not _fits(linear, tiling):
        first, *second = _parts(x, linear)
        return first + second[0] if second else first
    return linear.joined(
        kernels.product(x, linear.stored, scale=linear.scale, tiling=tiling, overlap=plan.overlap)
    )[0]


def _parts(x: Tensor | Split, linear: Linear) -> Tensor:
    """The product of many columns, ``[S, N, out]``."""
    if isinstance(x, Tensor):
        return _converted(x, linear)[None]
    outputs = linear.out_features
    return _halves(x, linear).as_strided((2, len(x), outputs), (outputs, 2 * outputs, 1))


def _converted(x: Tensor, linear: Linear) -> Tensor:
    """What ``linear`` computes, from a weight of eight bits that one kernel converts."""
    if linear.scale is None:
        product: Tensor = linear(x)
        return product
    return F.linear(x, kernels.widened(linear.stored, linear.scale, x.dtype), linear.bias)


def _halves(x: Split, linear: Linear) -> Tensor:
    """The products of both halves of ``x``, ``[2 N, out]``, each rounded."""
    assert linear.scale is not None
    return torch._scaled_mm(
        x.halves,
        linear.stored.t(),
        scale_a=x.scale,
        scale_b=linear.scale[None],
        out_dtype=x.dtype,
        use_fast_accum=True,
    )


def _fits(linear: Linear, tiling: Tiling) -> bool:
    """Whether a kernel does what ``linear`` does, cut so."""
    return linear.bias is None and tiling.fits(linear.in_features)
