"""Packed forwards: independence of rows, merged groups, and the head on the last layer only."""

from __future__ import annotations

import random

import pytest
import torch

from llada_runtime import KVCache, LLaDAModel
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.linear import Linear

LENGTH = 24


def span(seed: int, slot: int | None, *, reads: bool, width: int = 4) -> Span:
    source = random.Random(seed)
    length = source.randint(width + 3, LENGTH)
    lo = source.randint(1, length - width) if reads else 0
    hi = lo + width if reads else length
    ids = source.choices(range(29), k=hi - lo)
    head = (lo, hi) if reads else (length - width, length)
    return Span(
        ids=ids, lo=lo, hi=hi, length=length, head_lo=head[0], head_hi=head[1], slot=slot, reads=reads
    )


def run(model: LLaDAModel, spans: list[Span], cache: KVCache, *, merge: bool) -> torch.Tensor:
    return model.logits(Layout.of(spans, device=model.device, cache_length=LENGTH, merge=merge), cache)


def filled_cache(model: LLaDAModel, spans: list[Span]) -> KVCache:
    """A cache in which every span's slot holds the keys of a full forward of random tokens."""
    cache = model.new_cache(rows=len(spans), length=LENGTH)
    for _ in spans:
        cache.take()
    for s in spans:
        ids = random.Random(s.length).choices(range(29), k=s.length)
        full = Span(ids=ids, lo=0, hi=s.length, length=s.length, head_lo=0, head_hi=1, slot=s.slot)
        run(model, [full], cache, merge=False)
    return cache


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_packed_together_are_bitwise_the_rows_alone(model: LLaDAModel, rows: int) -> None:
    spans = [span(seed, seed, reads=seed % 3 > 0) for seed in range(rows)]
    together = run(model, spans, filled_cache(model, spans), merge=False)
    alone = [run(model, [s], filled_cache(model, spans), merge=False) for s in spans]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 2, 0, 4, 3, 1)])
def test_merged_groups_agree_with_rows_one_by_one(model: LLaDAModel, order: tuple[int, ...]) -> None:
    spans = [span(seed, slot, reads=seed % 2 > 0) for slot, seed in enumerate(order)]
    one_by_one = run(model, spans, filled_cache(model, spans), merge=False)
    merged = run(model, spans, filled_cache(model, spans), merge=True)
    torch.testing.assert_close(merged, one_by_one, atol=1e-4, rtol=1e-4)


def test_merging_masks_what_lies_beyond_a_shorter_row(model: LLaDAModel) -> None:
    spans = [span(seed, slot, reads=True) for slot, seed in enumerate((1, 2, 3))]
    layout = Layout.of(spans, device=model.device, cache_length=LENGTH, merge=True)
    (group,) = layout.groups
    assert group.mask is not None
    assert group.mask.sum(-1).flatten().tolist() == sorted(
        (s.length for s in spans), key=[s.length for s in spans].index
    )


def test_rows_without_a_cache_merge_when_equally_long(model: LLaDAModel) -> None:
    ids = torch.randint(0, 29, (3, 11), generator=torch.Generator().manual_seed(1))
    spans = [Span(ids=row, lo=0, hi=11, length=11, head_lo=5, head_hi=9) for row in ids.tolist()]
    layout = Layout.of(spans, device=model.device, cache_length=0, merge=True)
    assert len(layout.groups) == 1
    torch.testing.assert_close(
        model.logits(layout, None), model(ids)[:, 5:9].flatten(0, 1), atol=1e-4, rtol=1e-4
    )


def test_only_the_head_columns_are_computed_and_they_are_exact(model: LLaDAModel) -> None:
    ids = list(range(1, 13))
    whole = model(torch.tensor([ids]))[0]
    part = Span(ids=ids, lo=0, hi=12, length=12, head_lo=3, head_hi=7)
    logits = model.logits(Layout.of([part], device=model.device, cache_length=0, merge=False), None)
    assert torch.equal(logits, whole[3:7])


@pytest.mark.parametrize("shape", [(48, 16), (16, 24), (1536, 256)])
def test_a_packed_linear_gives_each_row_the_same_bits_in_any_company(shape: tuple[int, int]) -> None:
    layer = Linear(*shape, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        layer.plain.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(70, shape[1], generator=torch.Generator().manual_seed(1))
    layer.pack()
    whole = layer(x)
    for start, count in [(0, 1), (3, 2), (5, 3), (9, 16), (30, 33), (1, 69)]:
        assert torch.equal(layer(x[start : start + count].contiguous()), whole[start : start + count])


def test_packing_frees_the_plain_weight_and_keeps_the_product() -> None:
    layer = Linear(8, 6, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        layer.plain.normal_(generator=torch.Generator().manual_seed(0))
    x, residual = torch.randn(5, 6), torch.randn(5, 8)
    plain, added = layer(x), layer(x, residual.clone())
    layer.pack()
    assert layer.weight is None
    torch.testing.assert_close(layer(x), plain)
    torch.testing.assert_close(layer(x, residual), added)


def test_a_bias_is_added_once_packed_or_not() -> None:
    layer = Linear(8, 6, bias=True, device=torch.device("cpu"), dtype=torch.float32)
    assert layer.bias is not None
    with torch.no_grad():
        layer.plain.normal_(generator=torch.Generator().manual_seed(0))
        layer.bias.normal_(generator=torch.Generator().manual_seed(1))
    x, residual = torch.randn(5, 6), torch.randn(5, 8)
    wanted = x @ layer.plain.T + layer.bias
    for _ in ("plain", "packed"):
        torch.testing.assert_close(layer(x), wanted)
        torch.testing.assert_close(layer(x, residual.clone()), wanted + residual)
        layer.pack()


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu(write_checkpoint) -> None:
    folder = write_checkpoint()
    ids = torch.tensor([list(range(1, 20)), list(range(2, 21))])
    on_gpu = LLaDAModel.from_pretrained(folder, device="cuda", dtype="float32")
    torch.testing.assert_close(
        on_gpu(ids).cpu(), LLaDAModel.from_pretrained(folder, device="cpu")(ids), atol=1e-3, rtol=1e-3
    )


def test_a_layout_of_the_same_places_is_reused_with_new_tokens() -> None:
    def layout(ids: list[int], lo: int, previous: Layout | None) -> Layout:
        part = Span(ids=ids, lo=lo, hi=lo + 3, length=9, head_lo=lo, head_hi=lo + 3, slot=0, reads=True)
        return Layout.of([part], device=torch.device("cpu"), cache_length=9, merge=False, previous=previous)

    first = layout([1, 2, 3], 4, None)
    again, moved = layout([4, 5, 6], 4, first), layout([4, 5, 6], 5, first)
    assert again.ids.tolist() == [4, 5, 6]
    assert again.positions is first.positions
    assert moved.positions.tolist() == [5, 6, 7]
