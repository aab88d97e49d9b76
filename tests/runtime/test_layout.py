"""Layouts: the indices that follow from where requests are, what is reused, and what a graph bakes in."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llada_runtime import LLaDAModel, Rotary
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge, Ragged
from llada_runtime.network.layout import Layout, Span
from tests.runtime.packing import LENGTH, filled_cache

CPU = torch.device("cpu")


def block(lo: int, start: int, *, ids: list[int] | None = None, length: int = 20, width: int = 3) -> Span:
    return Span(
        ids=ids or [1] * width,
        lo=lo,
        hi=lo + width,
        length=length,
        head_lo=lo,
        head_hi=lo + width,
        extent=Extent(start, LENGTH),
        reads=True,
    )


@st.composite
def spans(draw: st.DrawFn) -> Span:
    length = draw(st.integers(1, 12))
    reads = draw(st.booleans())
    lo = draw(st.integers(0, length - 1)) if reads else 0
    hi = draw(st.integers(lo + 1, length)) if reads else length
    head_lo = draw(st.integers(lo, hi - 1))
    kept = reads or draw(st.booleans())
    far = hi == length and draw(st.booleans())
    return Span(
        ids=draw(st.lists(st.integers(0, 99), min_size=hi - lo, max_size=hi - lo)),
        lo=lo,
        hi=hi,
        length=length,
        head_lo=head_lo,
        head_hi=draw(st.integers(head_lo + 1, hi)),
        extent=Extent(draw(st.integers(0, 500)), 12) if kept else None,
        reads=reads,
        stride=None if far else draw(st.sampled_from([None, 1, 4])),
        tail=draw(st.integers(hi, 20)) if far else None,
        apart=reads and draw(st.booleans()),
    )


def position(span: Span, column: int) -> int:
    return span.tail if span.tail is not None and column == span.hi - 1 else column


@given(st.lists(spans(), min_size=1, max_size=8), st.sampled_from(list(Merge)))
def test_the_indices_are_those_of_the_columns_one_by_one(rows: list[Span], merge: Merge) -> None:
    layout = Layout.of(rows, device=CPU, merge=merge)
    form = layout.form
    columns = [(row, column) for row in form.order for column in range(rows[row].lo, rows[row].hi)]
    columns += columns[-1:] * (form.repeated or 0)
    heads = [(row, column) for row, span in enumerate(rows) for column in range(span.head_lo, span.head_hi)]
    kept = [n for n, (row, _) in enumerate(columns) if rows[row].extent is not None and not rows[row].apart]
    assert layout.positions.tolist() == [position(rows[row], column) for row, column in columns]
    assert layout.ids.tolist() == [rows[row].ids[column - rows[row].lo] for row, column in columns]
    assert layout.kept.tolist() == kept
    assert layout.places.tolist() == [rows[columns[n][0]].extent.start + columns[n][1] for n in kept]
    assert layout.head.tolist() == sorted(columns.index(head) for head in heads)
    assert [columns[n] for n in layout.head[layout.restore].tolist()] == heads
    assert (form.columns, form.head_columns, form.kept_columns) == (len(columns), len(heads), len(kept))
    assert form.keeps_all == (kept == list(range(len(columns))))
    assert form.asks_all == (layout.head.tolist() == list(range(len(columns))))
    assert form.in_order or merge is not Merge.NONE


@given(st.lists(spans(), min_size=1, max_size=8), st.sampled_from(list(Merge)))
def test_every_query_asks_once_in_every_layer(rows: list[Span], merge: Merge) -> None:
    layout = Layout.of(rows, device=CPU, merge=merge)
    for calls, columns in (
        (layout.calls, layout.form.columns),
        (layout.head_calls, layout.form.head_columns),
    ):
        asked = [
            range(
                call.start,
                call.start + (call.columns if isinstance(call, Ragged) else call.rows * call.width),
            )
            for call in calls
        ]
        assert list(chain.from_iterable(asked)) == list(range(columns))


def test_a_layout_of_the_same_form_is_reused_with_new_tokens() -> None:
    def layout(ids: list[int], lo: int, previous: Layout | None) -> Layout:
        return Layout.of([block(lo, 0, ids=ids)], device=CPU, merge=False, previous=previous)

    first = layout([1, 2, 3], 4, None)
    again, moved = layout([4, 5, 6], 4, first), layout([4, 5, 6], 5, first)
    assert again.ids.tolist() == [4, 5, 6]
    assert (again.form, hash(again.form)) == (first.form, hash(first.form))
    assert again.positions is first.positions
    assert moved.form != first.form
    assert moved.positions.tolist() == [5, 6, 7]


def test_an_extent_that_has_moved_makes_another_form() -> None:
    span = block(4, 50)
    first = Layout.of([span], device=CPU, merge=False)
    assert span.extent is not None
    span.extent.start = 20
    assert Layout.of([span], device=CPU, merge=False, previous=first).places.tolist() == [24, 25, 26]


def test_another_way_of_merging_makes_another_form() -> None:
    first = Layout.of([block(4, 0)], device=CPU, merge=False)
    again = Layout.of([block(4, 0)], device=CPU, merge=Merge.RAGGED, previous=first)
    assert isinstance(again.calls[0], Ragged)


def test_layouts_of_one_graph_key_differ_in_their_indices_alone() -> None:
    """Positions, addresses and lengths of a ragged forward are read by a graph, not baked into it."""
    here = Layout.of([block(4, 0), block(7, 60)], device=CPU, merge=Merge.RAGGED)
    there = Layout.of([block(9, 200, length=22), block(1, 90, length=17)], device=CPU, merge=Merge.RAGGED)
    assert here.form != there.form
    assert (here.graph_key, hash(here.graph_key)) == (there.graph_key, hash(there.graph_key))
    assert [part.shape for part in here.indices] == [part.shape for part in there.indices]
    wider = Layout.of([block(4, 0, width=4), block(7, 60)], device=CPU, merge=Merge.RAGGED)
    alone = Layout.of([block(4, 0), block(7, 60)], device=CPU, merge=Merge.NONE)
    assert len({here.graph_key, wider.graph_key, alone.graph_key}) == 3


def whole(length: int, start: int | None = 40, **given: object) -> Span:
    extent = None if start is None else Extent(start, length)
    span = Span(ids=range(length), lo=0, hi=length, length=length, head_lo=8, head_hi=16, extent=extent)
    return replace(span, **given)


def of(*rows: Span, merge: Merge = Merge.RAGGED) -> Layout:
    return Layout.of(rows, device=CPU, merge=merge)


def test_whole_forwards_of_a_row_are_of_few_keys() -> None:
    keys = [of(whole(length, length)).graph_key for length in range(65, 129)]
    assert len({*keys, of(whole(64)).graph_key, of(whole(129)).graph_key}) == 3
    assert keys[0] != of(whole(65, head_hi=17)).graph_key


def test_their_last_column_is_repeated() -> None:
    layout = of(whole(62, 100, inputs=torch.arange(62.0)[:, None]))
    assert layout.ids.tolist() == [*range(62), 61, 61] == layout.positions.tolist()
    assert layout.kept.tolist() == list(range(64))
    assert layout.places.tolist() == [*range(100, 162), 161, 161]
    assert layout.inputs[0][1].flatten().tolist() == layout.ids.tolist()
    ((calls,), (head_calls,)) = layout.calls, layout.head_calls
    assert isinstance(calls, Ragged)
    assert isinstance(head_calls, Ragged)
    assert [call.lengths.tolist() + call.key_starts.tolist()[:1] for call in (calls, head_calls)] == [
        [62, 100]
    ] * 2
    assert (calls.columns, head_calls.columns) == (64, 8)


@pytest.mark.parametrize(
    "layout",
    [
        of(whole(1025)),
        of(whole(62, None)),
        of(whole(62, stride=4)),
        of(whole(62), whole(62, 200)),
        of(whole(62), merge=Merge.EQUAL),
        of(block(4, 0)),
    ],
)
def test_no_other_forward_repeats_a_column(layout: Layout) -> None:
    assert layout.form.repeated is None
    assert layout.form.columns == sum(place.width for place in layout.form.places)


def test_the_rotation_is_computed_once_a_form(model: LLaDAModel, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, extents = filled_cache(model, [LENGTH])
    calls = []
    true_at = Rotary.at

    def at(self: Rotary, positions: torch.Tensor) -> object:
        calls.append(positions.tolist())
        return true_at(self, positions)

    monkeypatch.setattr(Rotary, "at", at)
    layout = None
    for lo in (4, 4, 4, 9, 9):
        span = replace(block(lo, 0), extent=extents[0])
        layout = Layout.of([span], device=CPU, merge=False, previous=layout)
        model.logits(layout, cache)
    span = replace(block(9, 0, length=12), extent=extents[0], tail=15)
    model.logits(Layout.of([span], device=CPU, merge=False, previous=layout), cache)
    assert calls == [[4, 5, 6], [9, 10, 11], [9, 10, 15]]


def test_other_positions_in_the_same_tensor_are_another_rotation(model: LLaDAModel) -> None:
    caches = [filled_cache(model, [LENGTH])[0] for _ in range(3)]
    here, there = (Layout.of([block(lo, 0)], device=CPU, merge=False) for lo in (4, 9))
    wanted = model.logits(there, caches[0])
    model.logits(here, caches[1])
    here.positions.copy_(there.positions)
    assert torch.equal(model.logits(replace(there, positions=here.positions), caches[2]), wanted)


def test_a_span_that_makes_no_sense_is_an_error_of_ours() -> None:
    with pytest.raises(AssertionError, match="columns outside the call have no keys"):
        Span(ids=[1], lo=1, hi=2, length=2, head_lo=1, head_hi=2)
    with pytest.raises(AssertionError):
        Span(ids=[1], lo=1, hi=2, length=2, head_lo=1, head_hi=2, extent=Extent(0, 1), reads=True)


def test_no_list_of_all_columns_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Span(ids=[1] * 768, lo=0, hi=768, length=768, head_lo=700, head_hi=732, extent=Extent(768 * n, 768))
        for n in range(32)
    ]
    listed = []
    true_tensor = torch.tensor

    def tensor(values: list[int], **given: object) -> torch.Tensor:
        listed.append(len(values))
        return true_tensor(values, **given)

    monkeypatch.setattr(torch, "tensor", tensor)
    assert Layout.of(rows, device=CPU, merge=True).form.columns == 24_576
    assert max(listed) == 5 * 32
