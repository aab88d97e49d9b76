"""The network against logits recorded from the upstream implementation."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from llada_runtime.network.layout import Layout, Span
from tests.parity.parity_data import GOLDENS, MODELS, golden_model

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
    cache = model.new_cache(columns=length + 12)
    cache.take(9)  # so that what is read does not begin where the pool does
    extent = cache.take(length + 3)

    def forward(ids: list[int], lo: int, reads: bool) -> torch.Tensor:
        hi = lo + len(ids)
        span = Span(
            ids=ids, lo=lo, hi=hi, length=length, head_lo=start, head_hi=hi, extent=extent, reads=reads
        )
        layout = Layout.of([span], device=model.device, merge=False)
        return model.logits(layout, cache)

    forward(whole, 0, reads=False)
    logits = forward(part, start, reads=True)
    assert (logits - golden[f"{call}_logits"][0]).abs().max() <= TOLERANCE
