"""Logits of single forwards against those that were recorded from upstream code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from llada_runtime.network.layout import Layout, Span

__all__ = ["TOLERANCE", "check_cached", "check_full"]

TOLERANCE = 2e-3  # of the goldens' manifests


def check_full(network: Any, golden: Mapping[str, Tensor], call: str) -> None:
    """A forward of a whole canvas, by its layout."""
    (ids,) = golden[f"{call}_input_ids"].tolist()
    span = Span(ids=ids, lo=0, hi=len(ids), length=len(ids), head_lo=0, head_hi=len(ids))
    _check(_logits(network, span, None), golden, call)


def check_cached(network: Any, golden: Mapping[str, Tensor], call: str) -> None:
    """A forward of a part of the canvas, on the keys and values of a forward of all of it."""
    whole, part = golden["masked_input_ids"][0].tolist(), golden[f"{call}_input_ids"][0].tolist()
    start, length = int(golden["block_start"]), len(whole)
    cache = network.new_cache(columns=length + 12)
    cache.take(9)  # so that what is read does not begin where the pool does
    extent = cache.take(length + 3)

    def forward(ids: list[int], lo: int, *, reads: bool) -> Tensor:
        hi = lo + len(ids)
        span = Span(
            ids=ids, lo=lo, hi=hi, length=length, head_lo=start, head_hi=hi, extent=extent, reads=reads
        )
        return _logits(network, span, cache)

    forward(whole, 0, reads=False)
    _check(forward(part, start, reads=True), golden, call)


def _logits(network: Any, span: Span, cache: Any) -> Tensor:
    found: Tensor = network.logits(Layout.of([span], device=network.device, merge=False), cache)
    return found


def _check(logits: Tensor, golden: Mapping[str, Tensor], call: str) -> None:
    assert (logits - golden[f"{call}_logits"][0]).abs().max() <= TOLERANCE
