"""Spans and caches for tests of packed forwards."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from llada_runtime import KVCache, LLaDAModel
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge, Ragged
from llada_runtime.network.layout import Layout, Span

LENGTH = 24
_MULTIPLIED = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
KINDS = [
    torch.float32,
    pytest.param(
        torch.bfloat16, marks=pytest.mark.skipif(not _MULTIPLIED, reason="this CPU packs no bfloat16")
    ),
]
"""Dtypes that a CPU computes in."""


class MergingModel(LLaDAModel):
    """One that merges on a CPU, where none does by default."""

    merges = True  # type: ignore[assignment]


def run(
    model: LLaDAModel, spans: Sequence[Span], cache: KVCache | None = None, *, merge: Merge | bool = False
) -> Tensor:
    return model.logits(Layout.of(spans, device=model.device, merge=merge), cache)


def full(length: int, extent: Extent | None = None, *, stride: int | None = None) -> Span:
    """A forward of ``length`` random tokens; of the same ones for the same length."""
    ids = random.Random(length).choices(range(29), k=length)
    return Span(
        ids=ids, lo=0, hi=length, length=length, head_lo=0, head_hi=1, extent=extent, stride=stride
    )  # fmt: skip


def filled_cache(model: LLaDAModel, lengths: Sequence[int]) -> tuple[KVCache, list[Extent]]:
    """A cache and extents in it that each hold the keys of a full forward of random tokens."""
    cache = model.new_cache(columns=sum(lengths) + 7)
    extents = [cache.take(length) for length in lengths]
    for extent in extents:
        run(model, [full(extent.length, extent)], cache)
    return cache, extents


def storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())


def loop_of_rows(query: Tensor, keys: Tensor, values: Tensor, call: Ragged) -> Tensor:
    """What the ragged kernel computes, row by row in plain arithmetic."""
    starts, lengths = call.query_starts.tolist(), call.lengths.tolist()
    assert (max(lengths) <= call.longest, starts[-1]) == (True, call.columns)
    mixed = torch.empty_like(query)
    for row in range(call.rows):
        own = slice(call.key_starts.tolist()[row], call.key_starts.tolist()[row] + lengths[row])
        asking = slice(starts[row], starts[row + 1])
        mixed[asking] = plain_attention(query[asking], keys[own], values[own], 1 if call.causal else None)
    return mixed


def plain_attention(query: Tensor, keys: Tensor, values: Tensor, stride: int | None) -> Tensor:
    """``query [W, heads, hd]`` are the last columns of ``keys [T, kv_heads, hd]``; strides count from 0."""
    width, length = len(query), len(keys)
    sharing = query.shape[1] // keys.shape[1]
    keys, values = (part.repeat_interleave(sharing, dim=1) for part in (keys, values))
    scores = torch.einsum("qhd,khd->hqk", query, keys) / query.shape[-1] ** 0.5
    if stride is not None:
        ends = (torch.arange(length - width, length) // stride + 1) * stride
        scores.masked_fill_(torch.arange(length) >= ends[:, None], -torch.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), values)
