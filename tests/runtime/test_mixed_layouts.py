"""Spans of every kind in one packed forward, in any order: each has the logits that it has alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from llada_runtime import LLaDAModel
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Span
from tests.runtime.packing import filled_cache, run

LENGTHS = [14, 14, 20, 14]


def spans(extents: list[Extent]) -> list[Span]:
    """A whole canvas with a shadow, with a tail, with a look, twice for guidance, and blocks on what is
    cached, each with drafts."""
    draw = random.Random(2)

    def ids(count: int) -> list[int]:
        return draw.choices(range(29), k=count)

    def whole(lo: int, hi: int) -> Span:
        return Span(ids=ids(12), lo=0, hi=12, length=12, head_lo=lo, head_hi=hi)

    def block(extent: Extent, hi: int, length: int, tail: int | None) -> Span:
        return Span(
            ids=ids(hi - 5), lo=5, hi=hi, length=length, head_lo=5, head_hi=8, extent=extent, reads=True,
            tail=tail,
        )  # fmt: skip

    def drafts(span: Span, count: int) -> list[Span]:
        return [replace(span, ids=ids(span.hi - span.lo), apart=True) for _ in range(count)]

    dual, near = block(extents[0], 9, 14, None), block(extents[1], 10, 10, 13)
    return [
        replace(whole(4, 8), ids=ids(16), shadow=(4, 8)),
        replace(whole(0, 12), ids=ids(16), shadow=(8, 12)),
        Span(ids=ids(8), lo=0, hi=8, length=8, head_lo=3, head_hi=6, tail=13, extent=extents[2]),
        *(dual, *drafts(dual, 2)),
        *(near, *drafts(near, 2)),
        whole(3, 9),
        *(whole(4, 8), whole(4, 8)),
        block(extents[3], 9, 14, None),
    ]


@pytest.mark.usefixtures("ragged")
@pytest.mark.parametrize("merge", list(Merge))
def test_each_span_has_the_logits_that_it_has_alone(model: LLaDAModel, merge: Merge) -> None:
    _, fresh = filled_cache(model, LENGTHS)
    alone = [run(model, [span], filled_cache(model, LENGTHS)[0]) for span in spans(fresh)]
    for seed in range(4):
        cache, extents = filled_cache(model, LENGTHS)
        order = random.Random(seed).sample(range(len(alone)), k=len(alone))
        mixed = [spans(extents)[at] for at in order]
        found = run(model, mixed, cache, merge=merge).split([span.head_width for span in mixed])
        near = 1e-5 if merge is Merge.RAGGED else 0.0  # a kernel of its own
        for at, logits in zip(order, found, strict=True):
            torch.testing.assert_close(logits, alone[at], atol=near, rtol=near)
