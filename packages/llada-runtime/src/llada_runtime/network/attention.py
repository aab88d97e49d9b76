"""Grouped-query attention of packed rows: projections, rotation, one kernel call for rows that go together.

Keys are not copied, whatever rows come and go: every call attends on views of the forward's own keys or of
the cache's pool, but for rows that have some in each (see `Apart`). Which rows attend in one call is laid out
before (see `calls`); `choose_merge` says what suits a device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_runtime.network import flash
from llada_runtime.network.calls import Apart, Call, Merge, Ragged
from llada_runtime.network.layout import Layout
from llada_runtime.network.linear import Linear
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.rotary import Turn
from llada_runtime.network.shape import Shape

__all__ = ["Attention", "Pool", "choose_merge"]

Pool = tuple[Tensor, Tensor]
"""Keys and values of one layer, each ``[columns, kv_heads, hd]``."""


def choose_merge(device: torch.device, dtype: torch.dtype, shape: Shape) -> Merge:
    """Which rows attend in one call on ``device``.

    On the CPU each by itself, so that a row's arithmetic is that of the row alone; on a GPU all that read the
    cache where the kernel for it takes ``dtype``, else those of one shape.
    """
    if device.type == "cpu":
        return Merge.NONE
    return Merge.RAGGED if flash.takes(device, dtype, shape.head_dim) else Merge.EQUAL


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

    def tensors(self, *, fused: bool = False) -> dict[str, Tensor]:
        """The attention's weights, those of queries, keys and values as views ``q``, ``k`` and ``v`` of the
        fused one; with ``fused`` it is that one, ``qkv``."""
        widths = (self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim)
        named = {"out.weight": self.out.plain}
        for kind, whole in (("weight", self.qkv.plain), ("bias", self.qkv.bias)):
            if whole is None:
                continue
            if fused:
                named[f"qkv.{kind}"] = whole
            else:
                parts = zip("qkv", whole.split(widths), strict=True)
                named |= {f"{part}.{kind}": tensor for part, tensor in parts}
        if self.out.bias is not None:
            named["out.bias"] = self.out.bias
        if self.q_norm is not None and self.k_norm is not None:
            named |= {"q_norm.weight": self.q_norm.weight, "k_norm.weight": self.k_norm.weight}
        return named

    def forward(
        self, x: Tensor, residual: Tensor, turn: Turn, layout: Layout, pool: Pool | None, *, head_only: bool
    ) -> Tensor:
        """``residual + attention(x)``, ``[N, d]``; the new keys and values go to the pool where kept.

        With ``head_only`` every column brings keys, and only the H head columns ask and are returned.
        """
        q, k, v = self._project(x, turn)
        if pool is not None and layout.form.kept_columns:
            _keep(pool, k, v, layout)
        calls = layout.calls
        if head_only and not layout.form.asks_all:
            q, residual, calls = q[layout.head], residual[layout.head], layout.head_calls
        parts = [self.attend(call, q, k, v, pool) for call in calls]
        return self.out.onto(parts[0] if len(parts) == 1 else torch.cat(parts), residual)

    def attend(self, call: Call | Ragged, q: Tensor, k: Tensor, v: Tensor, pool: Pool | None) -> Tensor:
        """``[columns, heads · hd]``: the queries of the rows of ``call`` mixed over their keys."""
        if isinstance(call, Ragged):
            assert pool is not None
            return flash.attend(q[call.start : call.start + call.columns], *pool, call).flatten(1)
        columns = call.rows * call.width
        query = q[call.start : call.start + columns].view(call.rows, call.width, self.heads, self.head_dim)
        key, value = _keys(call, k, pool and pool[0]), _keys(call, v, pool and pool[1])
        mixed = self._causal(query, key, value) if call.causal else self._seeing(query, key, value, call.mask)
        return mixed.reshape(columns, self.heads * self.head_dim)

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

    def _causal(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2), key, value, is_causal=True, enable_gqa=self.heads != self.kv_heads
        )
        return mixed.transpose(1, 2)  # [R, W, heads, hd]

    def _seeing(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        rows, width = query.shape[:2]
        sharing = self.heads // self.kv_heads
        # Query heads that share a key head become extra queries of it, with the same mask: that is exact,
        # and keys need not be repeated. [R, W, kv, q/kv, hd] -> [R, kv, q/kv · W, hd]
        folded = query.view(rows, width, self.kv_heads, sharing, self.head_dim).permute(0, 2, 3, 1, 4)
        if mask is not None and sharing > 1:
            mask = mask.repeat(sharing, 1)  # [q/kv · W, keys]
        mixed = F.scaled_dot_product_attention(folded.flatten(2, 3), key, value, attn_mask=mask)
        return mixed.view(rows, self.kv_heads, sharing, width, self.head_dim).permute(0, 3, 1, 2, 4)


def _keys(call: Call, new: Tensor, cached: Tensor | None) -> Tensor:
    """Keys or values ``[R, kv_heads, keys, hd]`` of a call, of ``new [N, kv_heads, hd]`` and of the pool."""
    if call.pooled:
        assert cached is not None
        found = _rows(cached, call)
        return (found if call.apart is None else _around(found, new, call, call.apart)).transpose(1, 2)
    return _rows(new, call).transpose(1, 2)


def _rows(store: Tensor, call: Call) -> Tensor:
    """Keys or values ``[rows, keys, kv_heads, hd]`` of a call, in ``store [columns, kv_heads, hd]``."""
    column, head, channel = store.stride()
    return store.as_strided(
        (call.rows, call.keys, *store.shape[1:]),
        (call.spacing * column, column, head, channel),
        store.storage_offset() + call.first * column,
    )


def _around(cached: Tensor, new: Tensor, call: Call, own: Apart) -> Tensor:
    """``cached [rows, keys, kv_heads, hd]`` with each row's own of ``new [N, kv_heads, hd]`` in its place."""
    width = own.hi - own.lo
    brought = new[own.start : own.start + call.rows * width].unflatten(0, (call.rows, width))
    return torch.cat((cached[:, : own.lo], brought, cached[:, own.hi :]), dim=1)[:, : call.keys]


def _keep(pool: Pool, k: Tensor, v: Tensor, layout: Layout) -> None:
    for store, new in zip(pool, (k, v), strict=True):
        store.index_copy_(0, layout.places, new if layout.form.keeps_all else new[layout.kept])
