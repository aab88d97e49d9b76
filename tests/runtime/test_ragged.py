"""Attention of all rows that read the pool in one kernel call, held to the plain path. On a GPU only."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from llada_runtime import KVCache, LLaDAConfig, LLaDAModel
from llada_runtime.network import flash
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge, Ragged
from llada_runtime.network.layout import Layout, Span
from tests.runtime.packing import plain_attention

pytestmark = pytest.mark.gpu

COLUMNS = 4000
MASK, EOS = 126, 127
SHAPES = {"one key head a head": (4, 4), "grouped": (8, 2)}
TOLERANCE = 5e-3  # of bf16 attention over numbers around 1, against float64


def model_of(heads: int, kv_heads: int, *, dtype: torch.dtype = torch.bfloat16) -> LLaDAModel:
    config = LLaDAConfig(
        d_model=heads * 64, n_layers=3, n_heads=heads, n_kv_heads=kv_heads, mlp_hidden_size=256,
        embedding_size=128, vocab_size=128, max_sequence_length=4096, rope_theta=10000.0, rms_norm_eps=1e-5,
        weight_tying=False, mask_token_id=MASK, eos_token_id=EOS,
    )  # fmt: skip
    model = LLaDAModel(config, device=torch.device("cuda"), dtype=dtype)
    source = torch.Generator("cuda").manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.05, generator=source)
            if parameter.dim() == 1:
                parameter.add_(1.0)
    return model


def scattered(lengths: list[int]) -> list[Extent]:
    """Extents in random order, with gaps of any width."""
    order = random.Random(1).sample(range(len(lengths)), len(lengths))
    extents, start = {}, 5
    for row in order:
        extents[row] = Extent(start, lengths[row])
        start += lengths[row] + 1 + 13 * row
    assert start < COLUMNS
    return [extents[row] for row in range(len(lengths))]


def reading(extent: Extent, width: int, *, lo: int | None = None, **given: Any) -> Span:
    lo = extent.length - width if lo is None else lo
    ids = random.Random(extent.start).choices(range(120), k=width)
    return Span(
        ids=ids, lo=lo, hi=lo + width, length=extent.length, head_lo=lo, head_hi=lo + width, extent=extent,
        reads=True, **given,
    )  # fmt: skip


def random_pool(model: LLaDAModel, extents: list[Extent]) -> KVCache:
    """A cache whose extents hold random numbers, and which is NaN everywhere else."""
    cache = model.new_cache(columns=COLUMNS)
    cache.take(COLUMNS)
    source = torch.Generator("cuda").manual_seed(2)
    for index in range(model.shape.n_layers):
        for pool in cache.layer(index):
            pool.fill_(torch.nan)
            for extent in extents:
                pool[extent.start : extent.end].normal_(generator=source)
    return cache


@pytest.mark.parametrize("stride", [None, 1])
@pytest.mark.parametrize(("heads", "kv_heads"), SHAPES.values(), ids=SHAPES)
def test_the_kernel_agrees_with_plain_attention(heads: int, kv_heads: int, stride: int | None) -> None:
    model = model_of(heads, kv_heads)
    widths, extents = [32, 7, 1, 64, 300], scattered([801, 64, 513, 64, 900])
    spans = [reading(*row, stride=stride) for row in zip(extents, widths, strict=True)]
    keys, values = random_pool(model, extents).layer(0)
    layout = Layout.of(spans, device=model.device, merge=model.merges)
    source = torch.Generator("cuda").manual_seed(3)
    # As in the network, queries are a part of a wider tensor.
    wide = torch.randn(layout.form.columns, heads + kv_heads, 64, generator=source, device="cuda")
    query = wide.to(torch.bfloat16)[:, :heads]
    for call in layout.calls:
        assert isinstance(call, Ragged)
        mixed = flash.attend(query[call.start : call.start + call.columns], keys, values, call)
        starts = call.query_starts.tolist()
        for row in range(call.rows):
            first = call.key_starts.tolist()[row]
            own = slice(first, first + call.lengths.tolist()[row])
            asking = query[call.start + starts[row] : call.start + starts[row + 1]]
            parts = [part.double().cpu() for part in (asking, keys[own], values[own])]
            wanted = plain_attention(*parts, 1 if call.causal else None)
            found = mixed[starts[row] : starts[row + 1]].double().cpu()
            torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_each_dtype_takes_its_path() -> None:
    assert model_of(4, 4).merges is Merge.RAGGED
    assert model_of(4, 4, dtype=torch.float16).merges is Merge.RAGGED
    assert model_of(4, 4, dtype=torch.float32).merges is Merge.EQUAL


def assert_near(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Equal up to what bf16 loses over the layers; false rows, keys or positions are off by more than all."""
    assert not found.isnan().any()
    assert (found.float() - wanted.float()).abs().max() < 0.05 * wanted.float().abs().max()


def mixed_spans(extents: list[Extent]) -> list[Span]:
    """Rows of several widths that see all, that are causal, and that go in strides of 16."""
    return [
        reading(extents[0], 32, lo=100),
        reading(extents[1], 32),
        reading(extents[2], 8, stride=1),
        reading(extents[3], 32, stride=16),
        reading(extents[4], 1, lo=3),
        reading(extents[5], 32, lo=64, stride=1),
    ]


LENGTHS = [300, 128, 77, 64, 9, 200]


@pytest.mark.parametrize(("heads", "kv_heads"), SHAPES.values(), ids=SHAPES)
def test_rows_in_one_call_have_the_logits_of_rows_alone(heads: int, kv_heads: int) -> None:
    model, extents = model_of(heads, kv_heads), scattered(LENGTHS)
    spans = mixed_spans(extents)
    together = model.logits(
        Layout.of(spans, device=model.device, merge=model.merges), random_pool(model, extents)
    )
    alone = [
        model.logits(Layout.of([span], device=model.device, merge=Merge.NONE), random_pool(model, extents))
        for span in spans
    ]
    assert_near(together, torch.cat(alone))


def test_a_graph_replays_other_rows_at_other_places() -> None:
    """Captured once, fed with the indices of another layout of the same key: what the plain path computes."""
    model = model_of(8, 2)
    first, second = scattered([300, 128, 77, 200]), scattered([290, 250, 99, 140])
    cache = random_pool(model, [*first])
    lo = [(100, 32), (40, 32), (60, 8), (9, 16)]
    here = [reading(extent, width, lo=at) for extent, (at, width) in zip(first, lo, strict=True)]
    there = [reading(extent, width, lo=at + 21) for extent, (at, width) in zip(second, lo, strict=True)]
    static = Layout.of(here, device=model.device, merge=model.merges)
    other = Layout.of(there, device=model.device, merge=model.merges)
    assert (static.form != other.form, static.graph_key == other.graph_key) == (True, True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # warms up what may not be initialised within a capture
        model.logits(static, cache)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = model.logits(static, cache)
    fresh = random_pool(model, second)
    with torch.inference_mode():
        for index in range(model.shape.n_layers):
            for mine, new in zip(cache.layer(index), fresh.layer(index), strict=True):
                mine.copy_(new)
        for mine, new in zip(static.indices, other.indices, strict=True):
            mine.copy_(new)
    graph.replay()
    torch.cuda.synchronize()
    wanted = model.logits(Layout.of(there, device=model.device, merge=Merge.NONE), fresh)
    assert_near(logits, wanted)


def test_one_call_a_layer_whatever_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, extents = model_of(8, 2), scattered([300, 128, 77, 64, 9, 200])
    calls = []
    true_attend = flash.attend

    def attend(*args: Any) -> torch.Tensor:
        calls.append(args[1].untyped_storage().data_ptr())
        return true_attend(*args)

    monkeypatch.setattr(flash, "attend", attend)
    cache = random_pool(model, extents)
    spans = [reading(extent, 1 + extent.length // 3, lo=2) for extent in extents]
    model.logits(Layout.of(spans, device=model.device, merge=model.merges), cache)
    assert calls == [cache.layer(index)[0].untyped_storage().data_ptr() for index in range(3)]
