"""Attention in strides: 1 is causal, n is block-causal, whatever is computed together and what is cached."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from llada_runtime import KVCache, LLaDAModel, RemoteNetwork, UnsupportedArchitecture
from llada_runtime.network import flash
from llada_runtime.network.attention import Attention
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Call, Merge, Ragged
from llada_runtime.network.layout import Layout, Span
from tests.runtime.packing import LENGTH, loop_of_rows, plain_attention, run

IDS = random.Random(0).choices(range(29), k=LENGTH)
CPU = torch.device("cpu")

each_stride = pytest.mark.parametrize("stride", [1, 4, 7])


def strided(
    lo: int, hi: int, *, stride: int = 1, head: tuple[int, int] | None = None, extent: Extent | None = None
) -> Span:
    head_lo, head_hi = head or (lo, hi)
    return Span(
        ids=IDS[lo:hi],
        lo=lo,
        hi=hi,
        length=hi,
        head_lo=head_lo,
        head_hi=head_hi,
        extent=extent,
        reads=lo > 0,
        stride=stride,
    )


def cache_of(model: LLaDAModel, *prefixes: int, stride: int = 1) -> tuple[KVCache, list[Extent]]:
    """A cache whose extents hold the keys of a forward of so many columns each."""
    cache = model.new_cache(columns=LENGTH * len(prefixes))
    extents = [cache.take(LENGTH) for _ in prefixes]
    for length, extent in zip(prefixes, extents, strict=True):
        run(model, [strided(0, length, stride=stride, extent=extent)], cache)
    return cache, extents


@each_stride
def test_what_follows_the_stride_of_a_column_does_not_change_it(model: LLaDAModel, stride: int) -> None:
    whole = run(model, [strided(0, LENGTH, stride=stride)])
    for end in (1, 2, 7, 8, 21, 23):
        complete = end // stride * stride
        part = run(model, [strided(0, end, stride=stride)])
        torch.testing.assert_close(part[:complete], whole[:complete], atol=1e-5, rtol=1e-5)


@each_stride
def test_strided_attention_is_plain_attention_under_that_mask(
    model: LLaDAModel, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, [strided(0, LENGTH, stride=stride)])
    monkeypatch.setattr(
        Attention, "attend", lambda self, call, q, k, v, pool: plain_attention(q, k, v, stride).flatten(1)
    )
    torch.testing.assert_close(run(model, [strided(0, LENGTH, stride=stride)]), whole, atol=1e-5, rtol=1e-5)


def test_in_one_layer_the_last_column_sees_what_it_sees_without_a_mask(write_checkpoint) -> None:
    model = LLaDAModel.from_pretrained(write_checkpoint({"n_layers": 1}), device="cpu")
    whole = run(model, [strided(0, LENGTH)])
    for end in (1, 5, LENGTH):
        everything = model(torch.tensor([IDS[:end]]))[0, -1]
        torch.testing.assert_close(whole[end - 1], everything, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("middle", "stride"), [(1, 1), (9, 1), (20, 1), (23, 1), (4, 4), (12, 4), (20, 4)])
def test_columns_run_against_the_cache_agree_with_one_forward(
    model: LLaDAModel, middle: int, stride: int
) -> None:
    whole = run(model, [strided(0, LENGTH, stride=stride)])
    cache, (extent,) = cache_of(model, middle, stride=stride)
    part = run(model, [strided(middle, LENGTH, stride=stride, extent=extent)], cache)
    torch.testing.assert_close(part, whole[middle:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("lo", "stride"), [(0, 1), (0, 4), (0, 7), (9, 1), (8, 4), (7, 7)])
@pytest.mark.parametrize("head", [(23, 24), (11, 24), (10, 12), (12, 13)])
def test_head_columns_alone_are_those_of_the_whole(
    model: LLaDAModel, lo: int, stride: int, head: tuple[int, int]
) -> None:
    whole = run(model, [strided(0, LENGTH, stride=stride)])
    cache, (extent,) = cache_of(model, lo or 1, stride=stride)
    part = run(model, [strided(lo, LENGTH, head=head, stride=stride, extent=extent)], cache)
    torch.testing.assert_close(part, whole[slice(*head)], atol=1e-5, rtol=1e-5)


def mixed_rows(lengths: tuple[int, ...]) -> Callable[[list[Extent]], list[Span]]:
    """Causal prompts, causal and block-causal rows that read the cache, and one that sees all."""

    def spans(extents: list[Extent]) -> list[Span]:
        own = list(zip(lengths, extents, strict=True))
        prompts = [strided(0, n, head=(n - 1, n)) for n in lengths]
        blocks = [strided(n, n + 4, extent=extent) for n, extent in own]
        wide = [strided(n, n + 8, extent=extent, stride=4, head=(n + 4, n + 8)) for n, extent in own]
        free = Span(ids=IDS[:4], lo=3, hi=7, length=7, head_lo=3, head_hi=7, extent=extents[1], reads=True)
        return [prompts[0], blocks[2], wide[3], free, prompts[1], wide[4], blocks[0], prompts[2], wide[5]]

    return spans


@pytest.mark.parametrize("merge", [Merge.EQUAL, Merge.RAGGED])
def test_rows_of_any_stride_merge_into_calls_of_their_kind(
    model: LLaDAModel, merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    lengths = (8, 12, 8, 16, 8, 8)
    make = mixed_rows(lengths)
    cache, extents = cache_of(model, *lengths)
    merged = run(model, make(extents), cache, merge=merge)
    cache, extents = cache_of(model, *lengths)
    alone = [run(model, [span], cache) for span in make(extents)]
    torch.testing.assert_close(merged, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_rows_that_see_all_need_no_mask_whatever_their_stride() -> None:
    a, b, c = (Extent(start, LENGTH) for start in (0, LENGTH, 3 * LENGTH))
    spans = [
        strided(8, 12, extent=a, stride=4),  # one whole stride at the end: sees all
        strided(11, 12, extent=b),  # the last column alone: sees all
        strided(8, 12, extent=c),  # causal
    ]
    calls = Layout.of(spans, device=CPU, merge=Merge.RAGGED).calls
    assert [(call.rows, call.causal) for call in calls] == [(2, False), (1, True)]
    assert all(isinstance(call, Ragged) for call in calls)
    (call,) = Layout.of([strided(0, 12, stride=12)], device=CPU, merge=False).calls
    assert isinstance(call, Call)
    assert (call.mask, call.causal) == (None, False)


@each_stride
def test_rows_packed_together_are_bitwise_the_rows_alone(model: LLaDAModel, stride: int) -> None:
    lengths = (7, 14, 7)

    def spans(extents: list[Extent]) -> list[Span]:
        own = zip(lengths, extents, strict=True)
        blocks = [strided(n, n + 7, stride=stride, extent=extent) for n, extent in own]
        return [*blocks, strided(0, 13, stride=stride, head=(12, 13))]

    cache, extents = cache_of(model, *lengths, stride=stride)
    together = run(model, spans(extents), cache)
    cache, extents = cache_of(model, *lengths, stride=stride)
    alone = [run(model, [span], cache) for span in spans(extents)]
    assert torch.equal(together, torch.cat(alone))


def test_a_model_with_code_of_its_own_refuses_what_it_cannot_be_asked_for() -> None:
    network = RemoteNetwork(torch.zeros(1), config=None)  # type: ignore[arg-type]  # neither is asked
    layout = Layout.of([strided(0, 4)], device=CPU, merge=True)
    with pytest.raises(UnsupportedArchitecture, match="attention cannot be made causal; use an algorithm"):
        network.logits(layout, None)
    far = Span(ids=[1] * 4, lo=0, hi=4, length=4, head_lo=0, head_hi=1, tail=9)
    with pytest.raises(UnsupportedArchitecture, match="columns cannot stand elsewhere; use an algorithm"):
        network.logits(Layout.of([far], device=CPU, merge=True), None)
    with pytest.raises(UnsupportedArchitecture, match="keys and values cannot be cached; use"):
        network.new_cache(columns=4)
    assert network.affordable_columns() == 0


@pytest.mark.parametrize("limit", [1, 40, 100])
@pytest.mark.parametrize(("lo", "stride"), [(0, 1), (0, 4), (0, 7), (9, 1), (8, 4), (7, 7)])
def test_a_row_in_pieces_is_the_row(
    model: LLaDAModel, lo: int, stride: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece has a mask of ``limit`` entries at most, or is one stride and has none."""
    found = []
    for most in (10**6, limit):
        monkeypatch.setattr("llada_runtime.network.calls._MASK", most)
        cache, (extent,) = cache_of(model, lo or 1, stride=stride)
        span = strided(lo, LENGTH, stride=stride, extent=extent)
        found.append(run(model, [span], cache))
        for call in Layout.of([span], device=CPU, merge=False).calls:
            assert isinstance(call, Call)
            assert call.mask is None or call.mask.numel() <= max(most, stride * LENGTH)
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-5)


def test_the_masks_of_pieces_take_the_memory_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llada_runtime.network.calls._MASK", 8 * 64)
    calls = Layout.of([strided_prefill(64, stride=4)], device=CPU, merge=False).calls
    masks = [call.mask for call in calls if isinstance(call, Call)]
    assert [mask.shape for mask in masks if mask is not None] == [(8, end) for end in range(8, 65, 8)]
    assert len({mask.untyped_storage().data_ptr() for mask in masks if mask is not None}) == 1


def strided_prefill(length: int, *, stride: int, extent: Extent | None = None) -> Span:
    return Span(
        ids=[3] * length, lo=0, hi=length, length=length, head_lo=0, head_hi=length, extent=extent,
        stride=stride,
    )  # fmt: skip


def test_where_there_is_a_kernel_for_it_wide_strides_are_rows_of_one_call() -> None:
    extents = [Extent(start, 96) for start in (0, 96, 192)]
    spans = [
        strided_prefill(80, stride=16, extent=extents[0]),  # five, of keys that are kept
        Span(
            ids=[3] * 32, lo=32, hi=64, length=64, head_lo=48, head_hi=64, extent=extents[1], reads=True,
            stride=16,
        ),
        Span(ids=[3] * 16, lo=16, hi=32, length=96, head_lo=16, head_hi=32, extent=extents[2], reads=True),
    ]  # fmt: skip
    layout = Layout.of(spans, device=CPU, merge=Merge.RAGGED)
    (call,), (head,) = layout.calls, layout.head_calls
    assert isinstance(call, Ragged)
    assert isinstance(head, Ragged)
    assert (call.columns, call.rows, call.widest, call.causal) == (128, 8, 16, False)
    assert call.lengths.tolist() == [16, 32, 48, 64, 80, 48, 64, 96]
    assert call.key_starts.tolist() == [0] * 5 + [96] * 2 + [192, 0]
    assert (head.columns, head.lengths.tolist()) == (112, [16, 32, 48, 64, 80, 64, 96])
    (own,) = Layout.of([strided_prefill(80, stride=16)], device=CPU, merge=Merge.RAGGED).calls
    assert isinstance(own, Call)  # its keys are nowhere but in the forward


def test_rows_of_wide_strides_in_one_call_are_the_rows_alone(
    write_checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    model = LLaDAModel.from_pretrained(write_checkpoint({"max_sequence_length": 96}), device="cpu")
    ids, found = random.Random(1).choices(range(29), k=96), []

    def span(lo: int, hi: int, extent: Extent) -> Span:
        return Span(
            ids=ids[lo:hi], lo=lo, hi=hi, length=hi, head_lo=hi - 20, head_hi=hi, extent=extent,
            reads=lo > 0, stride=16,
        )  # fmt: skip

    for merge in (Merge.NONE, Merge.RAGGED):
        cache = model.new_cache(columns=192)
        first, second = cache.take(96), cache.take(96)
        run(model, [span(0, 48, first)], cache, merge=merge)
        found.append(run(model, [span(0, 64, second), span(48, 80, first)], cache, merge=merge))
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-5)
