"""The network against logits recorded from the upstream implementation."""

from __future__ import annotations

import pytest
import torch
from parity_data import GOLDENS, MODELS, golden_model
from safetensors.torch import load_file

from llada_runtime.network.layout import Layout, Span

TOLERANCE = 2e-3  # of the goldens' manifest


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["plain", "masked"])
def test_full_forward_equals_upstream(name: str, call: str) -> None:
    golden = load_file(GOLDENS / "logits" / f"{name}.safetensors")
    logits = golden_model(name)(golden[f"{call}_input_ids"])
    assert (logits - golden[f"{call}_logits"]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["dual_block", "suffix"])
def test_cached_forward_equals_upstream(name: str, call: str) -> None:
    golden, model = load_file(GOLDENS / "logits" / f"{name}.safetensors"), golden_model(name)
    whole, part = golden["masked_input_ids"][0].tolist(), golden[f"{call}_input_ids"][0].tolist()
    start, length = int(golden["block_start"]), len(whole)
    cache = model.new_cache(rows=2, length=length + 3)
    cache.take()
    slot = cache.take()

    def forward(ids: list[int], lo: int, reads: bool) -> torch.Tensor:
        hi = lo + len(ids)
        span = Span(ids=ids, lo=lo, hi=hi, length=length, head_lo=start, head_hi=hi, slot=slot, reads=reads)
        layout = Layout.of([span], device=model.device, cache_length=length + 3, merge=False)
        return model.logits(layout, cache)

    forward(whole, 0, reads=False)
    logits = forward(part, start, reads=True)
    assert (logits - golden[f"{call}_logits"][0]).abs().max() <= TOLERANCE
