"""Whole forwards from fused kernels on weights of eight bits, held to the plain network on these in float64.

Where and in what they run is as in `test_fused`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="the kernels need Triton")

from llada_runtime import LLaDAModel
from llada_runtime.network import flash, products
from llada_runtime.network.fused import Fused
from tests.runtime import test_fused
from tests.runtime.interpreted import rounding_as_torch
from tests.runtime.packing import loop_of_rows
from tests.runtime.test_fused import (
    GPU,
    Biased,
    agree,
    filled,
    layouts,
    model_of,
    pair,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # NumPy's of Triton's interpreter
    *([pytest.mark.gpu] if GPU else []),
]
SHAPES: dict[str, dict[str, Any]] = {
    "heads of 128": {"n_heads": 4, "n_kv_heads": 4},
    "heads of 64 that share keys": {"n_heads": 8, "n_kv_heads": 2},
    "sizes that few tilings divide": {"n_heads": 3, "n_kv_heads": 1, "d_model": 384, "mlp_hidden_size": 320},
    "a size that is no multiple of 16": {"n_heads": 4, "n_kv_heads": 4, "embedding_size": 1001},
    "tied": {"n_heads": 4, "n_kv_heads": 2, "weight_tying": True},
}
if not GPU:  # interpreted, a forward takes seconds
    SHAPES = {name: SHAPES[name] for name in ("heads of 128", "a size that is no multiple of 16")}
STEPS = (0, 1, 2, 3, 9, 10, 11, 12) if GPU else (2, 11)


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    if GPU:
        return
    rounding_as_torch(monkeypatch)
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    monkeypatch.setattr(test_fused, "BOUND", 2e-2)  # two halves of fp8 have fewer digits than a float32

    def scaled(a: Tensor, b: Tensor, *, scale_a: Tensor, scale_b: Tensor, **given: Any) -> Tensor:
        return ((a.float() * scale_a) @ (b.float() * scale_b)).to(given["out_dtype"])

    monkeypatch.setattr(torch, "_scaled_mm", scaled)


def quantised_pair(quantization: str, kind: type[LLaDAModel] = LLaDAModel, **changes: Any) -> Any:
    fused, exact = pair(kind, **changes)
    own = fused._fused
    fused.quantise(quantization)
    if not GPU:
        assert own is not None
        fused._fused = Fused(fused.layers, fused.norm, fused.head, processors=132, overlap=False)
    return fused, exact.quantise(quantization)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("quantization", ["fp8", "int8"])
@pytest.mark.parametrize("at", STEPS)
def test_a_forward_is_that_of_the_plain_network(quantization: str, shape: str, at: int) -> None:
    fused, exact = quantised_pair(quantization, **SHAPES[shape])
    *caches, extents = filled(fused, exact, [95, 40, 130])
    agree(fused, exact, list(layouts(extents))[at][1], tuple(caches))


@pytest.mark.parametrize("quantization", ["fp8", "int8"])
def test_very_many_columns_convert_the_weight(quantization: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_MOST", 64)
    monkeypatch.setattr(products, "_halves", None)
    fused, exact = quantised_pair(quantization, n_heads=4, n_kv_heads=4)
    *caches, extents = filled(fused, exact, [95, 40, 130])
    agree(fused, exact, list(layouts(extents))[9][1], tuple(caches))


@pytest.mark.parametrize("quantization", ["fp8", "int8"])
@pytest.mark.parametrize("at", STEPS)
def test_projections_may_have_a_bias(quantization: str, at: int) -> None:
    fused, exact = quantised_pair(quantization, Biased, n_heads=4, n_kv_heads=2)
    *caches, extents = filled(fused, exact, [95, 40, 130])
    agree(fused, exact, list(layouts(extents))[at][1], tuple(caches))


@pytest.mark.gpu
@pytest.mark.parametrize("quantization", ["fp8", "int8"])
def test_weights_take_half_the_memory(quantization: str) -> None:
    before = torch.cuda.memory_allocated()
    model = model_of(torch.bfloat16, n_heads=4, n_kv_heads=4)
    whole = torch.cuda.memory_allocated() - before
    model.quantise(quantization)
    embedding = model.embedding.numel() * 2
    assert torch.cuda.memory_allocated() - before - embedding < 0.55 * (whole - embedding)
