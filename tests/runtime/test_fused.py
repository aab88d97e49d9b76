"""Whole forwards from fused kernels, held to the plain network in float64.

On a GPU in bfloat16, as compiled; elsewhere interpreted, in float32, where Triton is installed and
TRITON_INTERPRET=1 is set.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime import KVCache, LLaDAConfig, LLaDAModel, Shape
from llada_runtime.network import flash
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge
from llada_runtime.network.fused import Fused
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.rotary import Rotary
from llada_runtime.network.shape import Experts
from tests.runtime.packing import loop_of_rows

pytest.importorskip("triton", reason="the kernels need Triton")
GPU = torch.cuda.is_available()
if not GPU and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("without a GPU kernels run only where TRITON_INTERPRET=1 is set", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # NumPy's of Triton's interpreter
    *([pytest.mark.gpu] if GPU else []),
]
DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPE = torch.bfloat16 if GPU else torch.float32
BOUND = 2e-2 if GPU else 1e-5  # of bf16 after three layers; plain torch has the same
COLUMNS = 700

SHAPES: dict[str, dict[str, Any]] = {
    "heads of 128": {"n_heads": 4, "n_kv_heads": 4},
    "heads of 64 that share keys": {"n_heads": 8, "n_kv_heads": 2},
    "sizes that few tilings divide": {"n_heads": 3, "n_kv_heads": 1, "d_model": 384, "mlp_hidden_size": 320},
    "tied": {"n_heads": 4, "n_kv_heads": 2, "weight_tying": True},
}
each_shape = pytest.mark.parametrize("shape", list(SHAPES))


class Biased(LLaDAModel):
    """As Qwen's attention is."""

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        shape, rotary = LLaDAModel.dimensions(config)
        return replace(shape, qkv_bias=True, out_bias=True), rotary


class Normed(LLaDAModel):
    """As Qwen3's attention is."""

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        shape, rotary = LLaDAModel.dimensions(config)
        return replace(shape, qk_norm=True), rotary


class Experienced(LLaDAModel):
    """As LLaDA2's layers are: experts, all of which work on every column, so that no rounding changes whose
    they are; heads that turn in part; a first layer without experts."""

    @staticmethod
    def dimensions(config: LLaDAConfig) -> tuple[Shape, Rotary]:
        shape, _ = LLaDAModel.dimensions(config)
        experts = Experts(
            count=4, chosen=4, width=128, shared_width=64, scores="sigmoid", renormalised=True, groups=2,
            groups_chosen=2, scale=2.5, bias=True,
        )  # fmt: skip
        changed = replace(shape, qk_norm=True, experts=experts, dense_layers=(0,))
        return changed, Rotary.plain(1e4, shape.head_dim // 2)


def model_of(dtype: torch.dtype, kind: type[LLaDAModel] = LLaDAModel, **changes: Any) -> LLaDAModel:
    fields: dict[str, Any] = {
        "d_model": 512, "n_layers": 3 if GPU else 2, "mlp_hidden_size": 512,
        "embedding_size": 1000, "vocab_size": 1000,
        "max_sequence_length": 4096, "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "weight_tying": False,
        "mask_token_id": 998, "eos_token_id": 999,
    }  # fmt: skip
    model = kind(LLaDAConfig(**(fields | changes)), device=DEVICE, dtype=dtype)
    source = torch.Generator(DEVICE).manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=source, device=DEVICE) * 0.05
            parameter.copy_((drawn + 1.0 if parameter.dim() == 1 else drawn).to(torch.bfloat16))
    return model


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if not GPU:
        monkeypatch.setattr(flash, "attend", loop_of_rows)


def fused_of(kind: type[LLaDAModel] = LLaDAModel, **changes: Any) -> LLaDAModel:
    model = model_of(DTYPE, kind, **changes)
    if GPU and model._fused is None:
        pytest.skip(str(model.plain_because))
    if not GPU:
        model._fused = Fused(model.layers, model.norm, model.head, processors=132, overlap=False)
        model._merges = Merge.RAGGED
    return model


def pair(kind: type[LLaDAModel] = LLaDAModel, **changes: Any) -> tuple[LLaDAModel, LLaDAModel]:
    """Fused, and exact."""
    return fused_of(kind, **changes), model_of(torch.float64, kind, **changes)


def span(
    extent: Extent | None, lo: int, hi: int, *, head: tuple[int, int] | None = None, **given: Any
) -> Span:
    length = given.pop("length", None) or (hi if extent is None else extent.length)
    head_lo, head_hi = head or (lo, hi)
    ids = random.Random(lo + length).choices(range(900), k=hi - lo)
    return Span(
        ids=ids, lo=lo, hi=hi, length=length, head_lo=head_lo, head_hi=head_hi, extent=extent, **given
    )  # fmt: skip


def filled(fused: LLaDAModel, exact: LLaDAModel, lengths: list[int]) -> tuple[KVCache, KVCache, list[Extent]]:
    """Two caches of the same random keys and values, NaN outside the extents."""
    caches = [model.new_cache(columns=COLUMNS) for model in (fused, exact)]
    extents, _ = ([cache.take(length) for length in [3, *lengths]][1:] for cache in caches)
    for cache in caches:
        cache.take(cache.free)
    source = torch.Generator(DEVICE).manual_seed(2)
    for index in range(fused.shape.n_layers):
        for mine, other in zip(*(cache.layer(index) for cache in caches), strict=True):
            mine.fill_(torch.nan)
            for extent in extents:
                mine[extent.start : extent.end].normal_(generator=source)
            other.copy_(mine)
    return *caches, extents  # type: ignore[return-value]


def error(found: Tensor, wanted: Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def agree(fused: LLaDAModel, exact: LLaDAModel, spans: list[Span], caches: tuple[Any, Any]) -> None:
    """Refuse logits, or keys and values in the pool, that are not the exact ones or that are NaN."""
    found = fused.logits(Layout.of(spans, device=DEVICE, merge=fused.merges), caches[0])
    wanted = exact.logits(Layout.of(spans, device=DEVICE, merge=Merge.NONE), caches[1])
    assert error(found, wanted) < BOUND
    if caches[0] is None:
        return
    for index in range(fused.shape.n_layers):
        for mine, other in zip(caches[0].layer(index), caches[1].layer(index), strict=True):
            assert torch.equal(mine.isnan(), other.isnan())
            assert error(mine.nan_to_num(), other.nan_to_num()) < BOUND


def layouts(extents: list[Extent]) -> Iterator[tuple[str, list[Span]]]:
    first, second, third = extents
    yield "a step", [span(first, 40, 72, reads=True)]
    yield "one column", [span(second, 5, 6, reads=True)]
    yield "two rows", [span(first, 40, 72, reads=True), span(second, 9, 25, reads=True)]
    yield "many rows", [span(each, 4, 36, reads=True) for each in extents]
    yield "a prefix", [span(first, 20, first.length, reads=True, head=(20, 52))]
    yield "a wide step", [span(first, 4, 74, reads=True), span(third, 1, 31, reads=True, length=90)]
    yield "a part is asked", [span(first, 40, 72, reads=True, head=(50, 55))]
    yield "causal and not", [span(second, 9, 25, reads=True, stride=1), span(first, 40, 48, reads=True)]
    yield (
        "in strides",
        [span(first, 32, 64, reads=True, stride=16), span(second, 8, 24, reads=True, stride=8)],
    )
    yield "a refresh", [span(first, 0, first.length, head=(30, 62))]
    yield "refreshes", [span(each, 0, each.length, head=(2, 7)) for each in extents]
    yield (
        "a refresh beside a step",
        [span(first, 0, first.length, head=(3, 9)), span(second, 3, 9, reads=True)],
    )
    yield "kept and not", [span(None, 0, 20), span(second, 3, 9, reads=True), span(first, 0, first.length)]
    yield "fed embeddings", [span(first, 3, 7, reads=True, inputs="random")]


@each_shape
@pytest.mark.parametrize("at", range(14))
def test_a_forward_is_that_of_the_plain_network(shape: str, at: int) -> None:
    fused, exact = pair(**SHAPES[shape])
    *caches, extents = filled(fused, exact, [95, 40, 130])
    _, spans = list(layouts(extents))[at]
    if spans[0].inputs is not None:
        inputs = torch.randn(spans[0].width, fused.shape.width, device=DEVICE).to(torch.bfloat16)
        spans = [replace(spans[0], inputs=inputs.to(fused.dtype))]
    agree(fused, exact, spans, tuple(caches))  # type: ignore[arg-type]


@each_shape
def test_a_forward_without_a_cache(shape: str) -> None:
    fused, exact = pair(**SHAPES[shape])
    agree(fused, exact, [span(None, 0, 40), span(None, 0, 9), span(None, 0, 40, stride=1)], (None, None))


@pytest.mark.parametrize("kind", [Biased, Normed, Experienced])
@pytest.mark.parametrize("at", range(14))
def test_layers_may_have_biases_norms_of_queries_and_experts(at: int, kind: type[LLaDAModel]) -> None:
    fused, exact = pair(kind, n_heads=4, n_kv_heads=2)
    *caches, extents = filled(fused, exact, [95, 40, 130])
    name, spans = list(layouts(extents))[at]
    if name != "fed embeddings":
        agree(fused, exact, spans, tuple(caches))  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [LLaDAModel, Experienced])
def test_a_row_has_the_same_logits_again_and_in_a_graph(kind: type[LLaDAModel]) -> None:
    fused, exact = pair(kind, n_heads=4, n_kv_heads=2)
    cache, _, extents = filled(fused, exact, [95, 40, 130])
    layout = Layout.of([span(extents[0], 40, 72, reads=True)], device=DEVICE, merge=fused.merges)
    wanted = fused.logits(layout, cache)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = fused.logits(layout, cache)
    for _ in range(20):
        graph.replay()
        assert torch.equal(found, wanted)
        assert torch.equal(fused.logits(layout, cache), wanted)


@pytest.mark.gpu
def test_weights_exist_once_and_under_their_names() -> None:
    fused = fused_of(n_heads=4, n_kv_heads=2)
    layout = Layout.of([span(None, 0, 9)], device=DEVICE, merge=fused.merges)
    model_of(DTYPE, n_heads=4, n_kv_heads=2).logits(layout, None)  # cuBLAS takes memory of its own
    before = torch.cuda.memory_allocated()
    fused.pack().logits(layout, None)
    assert torch.cuda.memory_allocated() - before < 1 << 20
    assert {name for name in fused.tensors() if "blocks.0" in name} > {
        "model.transformer.blocks.0.q_proj.weight",
        "model.transformer.blocks.0.ff_proj.weight",
    }
