"""Packed forwards: independence of rows, merged calls, no copied keys, the head on the last layer only."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_runtime import LLaDAModel
from llada_runtime.network import attention, flash
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Call, Merge, Ragged
from llada_runtime.network.layout import Layout, Span
from llada_runtime.testing import small_llada, write_llada
from tests.runtime.packing import (
    KINDS,
    LENGTH,
    MergingModel,
    filled_cache,
    full,
    loop_of_rows,
    run,
    storage,
)

CPU = torch.device("cpu")


def span(seed: int, extent: Extent | None, *, reads: bool, width: int = 4) -> Span:
    source = random.Random(seed)
    length = source.randint(width + 3, LENGTH)
    lo = source.randint(1, length - width) if reads else 0
    hi = lo + width if reads else length
    ids = source.choices(range(29), k=hi - lo)
    head = (lo, hi) if reads else (length - width, length)
    return Span(
        ids=ids, lo=lo, hi=hi, length=length, head_lo=head[0], head_hi=head[1], extent=extent, reads=reads
    )


def spans_of(*seeds: int, every: int = 2) -> Callable[[list[Extent]], list[Span]]:
    """Rows that read the cache, but for every one whose seed divides by ``every``."""
    return lambda extents: [
        span(seed, extent, reads=seed % every > 0) for seed, extent in zip(seeds, extents, strict=True)
    ]


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_packed_together_are_bitwise_the_rows_alone(model: LLaDAModel, rows: int) -> None:
    make = spans_of(*range(rows), every=3)
    cache, extents = filled_cache(model, [LENGTH] * rows)
    together = run(model, make(extents), cache)
    alone = []
    for row in range(rows):
        cache, extents = filled_cache(model, [LENGTH] * rows)
        alone.append(run(model, [make(extents)[row]], cache))
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_a_row_of_any_width_has_its_bits_in_any_company(tmp_path: Path, dtype: torch.dtype) -> None:
    """Of one column, too, whose products alone have one row, and with so many channels that this matters."""
    folder = write_llada(tmp_path, mlp_hidden_size=2048)
    model = LLaDAModel.from_pretrained(folder, device="cpu", dtype=dtype)
    source = random.Random(0)
    widths = [1, 1, 2, 3, 5, 8, 17, 33, *(source.randint(1, 60) for _ in range(8))]
    rows = []
    for width in widths:
        length = source.randint(width, 64)
        lo = source.randint(0, length - width)
        ids = source.choices(range(29), k=length)
        rows.append(Span(ids=ids, lo=0, hi=length, length=length, head_lo=lo, head_hi=lo + width))
    alone = [run(model, [row]) for row in rows]
    for count in (2, 3, 9, len(rows)):
        together = run(model, rows[:count])
        assert torch.equal(together, torch.cat(alone[:count])), count


@pytest.mark.parametrize("merge", [Merge.EQUAL, Merge.RAGGED])
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 2, 0, 4, 3, 1), (1, 1, 3, 3, 1, 3)])
def test_merged_calls_agree_with_rows_one_by_one(
    model: LLaDAModel, order: tuple[int, ...], merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    make = spans_of(*order)
    cache, extents = filled_cache(model, [LENGTH] * len(order))
    one_by_one = run(model, make(extents), cache)
    cache, extents = filled_cache(model, [LENGTH] * len(order))
    merged = run(model, make(extents), cache, merge=merge)
    torch.testing.assert_close(merged, one_by_one, atol=1e-4, rtol=1e-4)


def block(extent: Extent, lo: int, length: int, *, width: int = 3, **given: Any) -> Span:
    head = {"head_lo": lo, "head_hi": lo + width, **given}
    return Span(
        ids=range(1, width + 1), lo=lo, hi=lo + width, length=length, extent=extent, reads=True, **head
    )


def test_rows_of_one_shape_at_equal_distances_are_one_call(model: LLaDAModel) -> None:
    spans = [block(Extent(start, 10), 4, 9) for start in (40, 0, 20)]
    (call,) = Layout.of(spans, device=CPU, merge=True).calls
    assert isinstance(call, Call)
    assert (call.rows, call.first, call.spacing, call.keys, call.mask) == (3, 0, 20, 9, None)


def test_rows_of_one_shape_anywhere_are_as_few_views_as_distances_allow(model: LLaDAModel) -> None:
    spans = [block(Extent(start, 10), 4, 9) for start in (0, 10, 25, 40, 55, 80)]
    calls = Layout.of(spans, device=CPU, merge=True).calls
    assert [(call.rows, call.first) for call in calls if isinstance(call, Call)] == [(2, 0), (3, 25), (1, 80)]


def test_rows_of_other_lengths_do_not_merge_into_one_view(model: LLaDAModel) -> None:
    """What lies behind a shorter row may be anything, NaN too, and a mask would multiply it by 0."""
    calls = Layout.of(
        [block(Extent(0, 10), 4, 9), block(Extent(10, 10), 4, 10)], device=CPU, merge=True
    ).calls
    assert [call.rows for call in calls] == [1, 1]


def test_where_a_kernel_takes_them_all_reading_rows_are_one_call(model: LLaDAModel) -> None:
    spans = [
        block(Extent(70, 30), 4, 24),
        block(Extent(0, 20), 0, 20, width=12),
        block(Extent(30, 9), 8, 9, width=1),
    ]
    layout = Layout.of(spans, device=CPU, merge=Merge.RAGGED)
    (call,) = layout.calls
    assert isinstance(call, Ragged)
    starts = [call.query_starts.tolist(), call.key_starts.tolist()[:-1], call.lengths.tolist()]
    order = [layout.form.order.index(row) for row in range(3)]
    assert [starts[1][row] for row in order] == [70, 0, 30]
    assert [starts[2][row] for row in order] == [24, 20, 9]
    assert [starts[0][row + 1] - starts[0][row] for row in order] == [3, 12, 1]
    assert (call.widest, call.columns, call.causal) == (12, 16, False)
    assert call.longest >= 24


@pytest.mark.parametrize("merge", list(Merge))
def test_no_keys_are_copied_whatever_the_order_of_the_rows(
    model: LLaDAModel, merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, extents = filled_cache(model, [LENGTH] * 8)
    pools = {storage(pool) for index in range(2) for pool in cache.layer(index)}
    seen: list[bool] = []

    def watched(attend: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(
            query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **given: Any
        ) -> Any:
            seen.extend(storage(part) in pools for part in (key, value))
            return attend(query, key, value, *args, **given)

        return call

    plain = watched(attention.F.scaled_dot_product_attention)
    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", plain)
    monkeypatch.setattr(flash, "attend", watched(loop_of_rows))
    random.Random(3).shuffle(extents)
    run(model, [span(seed, extent, reads=True) for seed, extent in enumerate(extents)], cache, merge=merge)
    assert seen
    assert all(seen)


@pytest.mark.parametrize("merge", list(Merge))
def test_what_lies_outside_the_rows_does_not_reach_them(
    model: LLaDAModel, merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    lengths = [20, 7, 20, 11, 20]
    cache, extents = filled_cache(model, lengths)
    spans = [block(extents[n], 2, length) for n, length in enumerate(lengths) if n % 2 == 0]
    wanted = run(model, spans, cache, merge=merge)
    for index in range(2):
        for pool in cache.layer(index):
            for extent in (extents[1], extents[3]):
                pool[extent.start : extent.end] = torch.nan
            pool[extents[-1].end :] = torch.nan
    assert torch.equal(run(model, spans, cache, merge=merge), wanted)


def test_rows_without_a_cache_merge_when_equally_long(model: LLaDAModel) -> None:
    ids = torch.randint(0, 29, (3, 11), generator=torch.Generator().manual_seed(1))
    spans = [Span(ids=row, lo=0, hi=11, length=11, head_lo=5, head_hi=9) for row in ids.tolist()]
    layout = Layout.of(spans, device=model.device, merge=True)
    assert len(layout.calls) == 1
    torch.testing.assert_close(
        model.logits(layout, None), model(ids)[:, 5:9].flatten(0, 1), atol=1e-4, rtol=1e-4
    )


def test_only_the_head_columns_are_computed_and_they_are_exact(model: LLaDAModel) -> None:
    ids = list(range(1, 13))
    whole = model(torch.tensor([ids]))[0]
    part = Span(ids=ids, lo=0, hi=12, length=12, head_lo=3, head_hi=7)
    assert torch.equal(run(model, [part]), whole[3:7])


def test_a_part_of_another_kind_can_stand_for_a_layers_mlp(write_checkpoint) -> None:
    class Nothing(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def tensors(self) -> dict[str, torch.Tensor]:
            return self.inner.tensors()

        def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
            return residual

    class SkippingModel(LLaDAModel):
        @staticmethod
        def mlp(shape: Any, index: int, **place: Any) -> torch.nn.Module:
            plain = LLaDAModel.mlp(shape, index, **place)
            return Nothing(plain) if index == 1 else plain

    ids = torch.tensor([[1, 2, 3]])
    skipping = SkippingModel.from_pretrained(write_checkpoint(), device="cpu")(ids)
    zeros = {"model.transformer.blocks.1.ff_out.weight": torch.zeros(16, 24)}
    wanted = LLaDAModel.from_pretrained(write_checkpoint(weights=zeros), device="cpu")(ids)
    torch.testing.assert_close(skipping, wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpu_agrees_with_the_cpu(write_checkpoint, dtype: str) -> None:
    folder = write_checkpoint()
    ids = torch.tensor([list(range(1, 20)), list(range(2, 21))])
    on_gpu = LLaDAModel.from_pretrained(folder, device="cuda", dtype=dtype)
    wanted = LLaDAModel.from_pretrained(folder, device="cpu")(ids)
    error = 1e-3 if dtype == "float32" else 0.1 * float(wanted.abs().max())
    torch.testing.assert_close(on_gpu(ids).float().cpu(), wanted, atol=error, rtol=1e-3)


def test_a_network_that_merges_on_a_cpu_is_laid_out_so(write_checkpoint) -> None:
    merging = MergingModel.from_pretrained(write_checkpoint(), device="cpu")
    assert merging.merges
    ids = torch.tensor([[1, 2, 3, 4]] * 3)
    torch.testing.assert_close(merging(ids)[2], merging(ids[:1])[0], atol=1e-5, rtol=1e-5)


def test_what_a_plain_call_returns_is_the_callers_own() -> None:
    model = small_llada()
    ids = torch.tensor([[1, 2, 3]])
    before = model(ids)
    with torch.no_grad():
        model(ids)[:, :, 3] = -torch.inf  # a tensor of inference mode would refuse
    assert torch.equal(model(ids), before)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_on_a_cpu_a_row_has_the_same_bits_in_any_company(
    write_checkpoint: Callable[..., Any], dtype: torch.dtype
) -> None:
    sizes = {"d_model": 512, "mlp_hidden_size": 1376, "n_layers": 2}
    model = LLaDAModel.from_pretrained(write_checkpoint(config=sizes), device="cpu", dtype=dtype)
    spans = [full(length) for length in (1, 40, 9, 64, 23)]
    together = run(model, spans)
    for row, span in enumerate(spans):
        assert torch.equal(run(model, [span])[0], together[row])
        assert torch.equal(run(model, [spans[row - 1], span])[1], together[row])
