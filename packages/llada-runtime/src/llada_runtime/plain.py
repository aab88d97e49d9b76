"""A network's forward in its plainest form: one request, its keys and values in two tensors a layer.

For `llada_runtime.reference`. Of the fast path it shares a layer's products, norms and rotation, and no more:
no packed rows, no pool of columns, no merged calls, no kernel for attention, no fused ones, no graphs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llada_core.errors import UnsupportedArchitecture
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.precision import without_autocast
from llada_runtime.network.protocol import Network
from llada_runtime.network.spans import Span
from llada_runtime.network.transformer import Transformer

__all__ = ["PlainForward"]


class PlainForward:
    """Forwards of one request on the weights of ``network``, which remembers nothing of them.

    Raises ``UnsupportedArchitecture`` for a network that is no whole `Transformer`, or that computes its
    logits in a way of its own.
    """

    def __init__(self, network: Network) -> None:
        inner: Any = network
        while not isinstance(inner, Transformer) and hasattr(inner, "network"):  # it stands around another
            inner = inner.network
        kind = type(inner)
        if not isinstance(inner, Transformer) or kind.logits is not Transformer.logits:
            raise UnsupportedArchitecture(
                f"{kind.__name__} computes logits in its own way, which cannot be written out here; "
                "compare it with code of its own"
            )
        if inner.ranks is not None:
            raise UnsupportedArchitecture(
                "the network is split between ranks, and no rank can run it alone; load it on one device"
            )
        self._network, self.device = inner, inner.device
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}  # of each layer, [T, kv_heads, hd] both

    @torch.inference_mode()
    @without_autocast
    def logits(self, span: Span) -> Tensor:
        """Logits ``[head columns, V]`` of the columns ``[lo, hi)``, in the network's dtype.

        Keys and values of a span with an extent are kept for later ones, unless it is apart; one that reads
        takes those of all other columns from there. Where in the extent they would lie does not matter.
        """
        network, own = self._network, span.hi - span.lo
        columns = torch.cat([torch.arange(lo, hi, device=self.device) for lo, hi in span.place.ranges])
        x = network.embed(torch.tensor(list(span.ids), device=self.device))
        if span.inputs is not None:
            x[:own] = span.inputs.to(network.dtype)
        for index in range(len(network.layers)):
            x = self._layer(index, x, columns, span)
        head = torch.cat((x[span.head_lo - span.lo : span.head_hi - span.lo], x[own:]))
        logits: Tensor = network.head(network.norm(head))
        return logits

    def _layer(self, index: int, x: Tensor, columns: Tensor, span: Span) -> Tensor:
        layer: Any = self._network.layers[index]
        attention = layer.attention
        q, k, v = self._projected(attention, layer.attention_norm(x), columns)
        if span.extent is not None:
            k, v = self._remembered(index, k, v, span)
        if span.shadow is None:
            k, v = k[: span.length], v[: span.length]
        mixed = _attend(q, k, v, _seen(columns, span))
        x = attention.out(mixed.flatten(1)) + x
        mlp = layer.mlp.plainly if isinstance(layer.mlp, ExpertMLP) else layer.mlp
        stream: Tensor = mlp(layer.mlp_norm(x), x)
        return stream

    def _projected(self, attention: Any, x: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries ``[W, heads, hd]``, keys and values ``[W, kv_heads, hd]`` at their positions."""
        counts = (attention.heads, attention.kv_heads, attention.kv_heads)
        q, k, v = attention.qkv(x).view(len(x), -1, attention.head_dim).split(counts, dim=1)
        if attention.q_norm is not None:
            q, k = attention.q_norm(q), attention.k_norm(k)
        turn = self._network._rotary.at(columns)
        q = turn(q) if turn.growth is None else turn(q) * turn.growth.to(q.dtype)
        return q, turn(k), v

    def _remembered(self, index: int, k: Tensor, v: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        """All keys and values of the layer, with these in the place of those of their columns."""
        assert span.extent is not None
        whole = (span.extent.length, *k.shape[1:])
        known = self._kept.get(index) or (k.new_zeros(whole), v.new_zeros(whole))
        made = (known[0].clone(), known[1].clone())
        for store, new in zip(made, (k, v), strict=True):
            store[span.lo : span.hi] = new
        if not span.apart:
            self._kept[index] = made
        return made


def _seen(columns: Tensor, span: Span) -> Tensor:
    """Which of the first ``length`` columns each of the span's attends to, bool ``[W, length]``; with a
    shadow, those of the shadow come behind, ``[W, W]``."""
    keys = torch.arange(span.length, device=columns.device)
    if span.shadow is not None:
        in_shadow = torch.arange(span.width, device=columns.device) >= span.length
        hidden = torch.where(in_shadow, columns, -1)[:, None] == torch.where(in_shadow, -2, columns)
        return ~hidden & (in_shadow[:, None] | ~in_shadow)
    if span.stride is None:
        return torch.ones(len(columns), span.length, dtype=torch.bool, device=columns.device)
    return keys[None] < ((columns // span.stride + 1) * span.stride)[:, None]


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    """``[W, heads, hd]``: softmax of scaled products in float32, over the keys that are seen."""
    sharing = q.shape[1] // k.shape[1]
    keys, values = (each.float().repeat_interleave(sharing, dim=1).transpose(0, 1) for each in (k, v))
    scores = q.float().transpose(0, 1) @ keys.transpose(1, 2) / q.shape[-1] ** 0.5  # [heads, W, length]
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return (weights @ values).transpose(0, 1).to(q.dtype)
