"""Weights in eight bits: what is rounded, and that nothing else is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import llada_tiny
from llada_core.errors import UsageError
from llada_runtime import LLaDAModel
from llada_runtime.network.checkpoint import fill
from llada_runtime.network.eight_bits import dequantised, quantised
from llada_runtime.network.linear import Linear
from llada_runtime.network.sources import SafetensorsSource
from llada_runtime.network.unfilled import without_memory
from llada_runtime.testing import write_llada

CPU = torch.device("cpu")
kinds = pytest.mark.parametrize("kind", ["fp8", "int8"])


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(kind: str | None, *, bias: bool = False, dtype: torch.dtype = torch.float32) -> Linear:
    made = Linear(48, 32, bias=bias, device=CPU, dtype=dtype)
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.copy_(drawn(*parameter.shape, seed=seed))
    if kind:
        made.quantise(kind)
    return made


# -- numbers


@kinds
def test_each_output_has_the_scale_of_its_largest_weight(kind: str) -> None:
    weight = drawn(5000, 8)  # more outputs than are made at a time
    weight[3] *= 1000
    weight[4] = 0.0
    eight, scale = quantised(weight, kind)
    largest = {"fp8": 448.0, "int8": 127.0}[kind]
    assert eight.dtype == {"fp8": torch.float8_e4m3fn, "int8": torch.int8}[kind]
    torch.testing.assert_close(scale[scale != 1], weight.abs().amax(1)[scale != 1] / largest)
    assert scale[4] == 1
    assert not eight[4].float().any()
    assert (eight.float().abs().amax(1) == largest).sum() == 4999


@pytest.mark.parametrize(("kind", "step"), [("fp8", 2**-4), ("int8", 0.5 / 127)])
def test_no_weight_is_further_off_than_half_a_step(kind: str, step: float) -> None:
    weight = drawn(64, 256)
    found = dequantised(*quantised(weight, kind), torch.float64)
    peak = weight.abs().amax(1, keepdim=True)
    bound = torch.maximum(weight.abs(), peak * 2**-6 / 448) if kind == "fp8" else peak
    assert ((found - weight).abs() <= bound * step * (1 + 1e-5)).all()


def test_the_integers_are_the_nearest() -> None:
    eight, scale = quantised(torch.tensor([[127.0, 1.4, -1.6, 0.0, -127.0]]), "int8")
    assert eight.tolist() == [[127, 1, -2, 0, -127]]
    assert scale.tolist() == [1.0]


@kinds
def test_what_was_nan_makes_nan(kind: str) -> None:
    weight = torch.ones(2, 3)
    weight[1, 2] = torch.nan
    assert dequantised(*quantised(weight, kind), torch.float32).isnan().any(1).tolist() == [False, True]


# -- the layer


@kinds
@pytest.mark.parametrize("bias", [False, True])
def test_the_product_is_that_of_the_rounded_weight(kind: str, bias: bool) -> None:
    whole, eight = layer(None, bias=bias), layer(kind, bias=bias)
    x, residual = drawn(7, 32, seed=5), drawn(7, 48, seed=6)
    exact = x.double() @ dequantised(*quantised(whole.plain, kind), torch.float64).T
    exact = exact if whole.bias is None else exact + whole.bias
    torch.testing.assert_close(eight(x).double(), exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(eight.onto(x, residual).double(), exact + residual, rtol=1e-5, atol=1e-5)
    assert eight(x.bfloat16()).dtype == torch.bfloat16


@kinds
def test_large_weights_do_not_overflow_in_float16(kind: str) -> None:
    eight = layer(kind, dtype=torch.float16)
    assert eight(torch.full((2, 32), 100.0, dtype=torch.float16)).isfinite().all()


@kinds
def test_each_row_has_the_same_bits_in_any_company(kind: str) -> None:
    eight, x = layer(kind), drawn(70, 32, seed=1)
    eight.pack()  # which leaves it as it is
    whole = eight(x)
    for start, count in [(0, 1), (3, 2), (5, 3), (9, 16), (30, 33), (1, 69)]:
        assert torch.equal(eight(x[start : start + count].contiguous()), whole[start : start + count])


@kinds
def test_weight_and_scale_are_kept_and_the_plain_weight_is_not(kind: str) -> None:
    eight = layer(kind, bias=True)
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in eight.state_dict().items()} == {
        "weight": (eight.stored.dtype, (48, 32)),
        "scale": (torch.float32, (48,)),
        "bias": (torch.float32, (48,)),
    }
    with pytest.raises(AssertionError, match="once the layer is quantised"):
        eight.plain  # noqa: B018


# -- a network


def held(model: LLaDAModel) -> int:
    """Bytes of weights but the embeddings."""
    return sum(each.nbytes for each in model.parameters()) - model.embedding.nbytes


@kinds
def test_weights_take_half_of_bfloat16(kind: str, tmp_path: Path) -> None:
    folder = write_llada(tmp_path, d_model=256, mlp_hidden_size=512)
    whole, eight = (
        LLaDAModel.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization=each)
        for each in (None, kind)
    )
    plain = sum(
        each.nbytes for each in LLaDAModel(whole.config, device=CPU, dtype=torch.bfloat16).parameters()
    )
    assert held(eight) < 0.55 * (plain - eight.embedding.nbytes)
    assert (eight.quantization, whole.quantization) == (kind, None)


@pytest.mark.parametrize("tied", [False, True])
def test_all_products_are_quantised_but_a_tied_head(tied: bool, tmp_path: Path) -> None:
    folder = write_llada(tmp_path, weight_tying=tied)
    model = LLaDAModel.from_pretrained(folder, device="cpu", quantization="int8")
    whole = [name for name, part in model.named_modules() if isinstance(part, Linear) and part.scale is None]
    assert whole == (["head"] if tied else [])
    assert model.embedding.dtype == model.norm.weight.dtype == torch.float32
    assert model(torch.arange(5)[None]).isfinite().all()


@pytest.mark.parametrize(("kind", "error", "equal"), [("fp8", 0.08, 0.85), ("int8", 0.03, 0.95)])
def test_a_trained_network_gives_nearly_the_same_logits(kind: str, error: float, equal: float) -> None:
    path = llada_tiny.model_path()
    whole, eight = (
        LLaDAModel.from_pretrained(path, device="cpu", quantization=each) for each in (None, kind)
    )
    ids = torch.randint(0, 1500, (4, 96), generator=torch.Generator().manual_seed(0))
    ids[:, 48:] = whole.config.mask_token_id
    wanted, found = whole(ids), eight(ids)
    assert (found - wanted).norm() / wanted.norm() < error
    assert (found.argmax(-1) == wanted.argmax(-1)).float().mean() > equal


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"quantization 'int4' cannot be used; choose 'fp8' or 'int8'"):
        LLaDAModel.from_pretrained(write_llada(tmp_path), device="cpu", quantization="int4")


def peak_of(folder: Path, kind: str | None) -> int:
    """The most bytes that torch has at once while the checkpoint is loaded, files that it maps left out."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        LLaDAModel.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization=kind)
    trace = folder / f"trace-{kind}.json"
    told.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())["traceEvents"]
    told_of = [each["args"] for each in events if each["name"] == "[memory]"]
    held = [each["Total Allocated"] for each in told_of if each["Device Type"] == 0]  # of the CPU
    return max(held) - held[0]


@kinds
def test_the_peak_while_it_is_read_is_the_eight_bits_and_one_weight(kind: str, tmp_path: Path) -> None:
    """And not the checkpoint as published: what fits in eight bits is to be loaded where it fits."""
    folder = write_llada(tmp_path, n_layers=12, d_model=256, n_heads=4, n_kv_heads=4, mlp_hidden_size=512)
    eight = LLaDAModel.from_pretrained(folder, device="cpu", dtype="bfloat16", quantization=kind)
    kept = sum(each.nbytes for each in eight.parameters())
    widest = max(each.numel() for each in eight.parameters())
    plain, peak = peak_of(folder, None), peak_of(folder, kind)
    assert plain > 1.7 * kept
    # Its published numbers, and while it is rounded float32 ones: itself, the steps, and these rounded.
    assert kept <= peak < kept + widest * (2 + 4 * 4)


@kinds
@pytest.mark.parametrize("tied", [False, True])
def test_what_is_read_in_eight_bits_is_what_is_made_so_afterwards(
    kind: str, tied: bool, tmp_path: Path
) -> None:
    folder = write_llada(tmp_path, weight_tying=tied)
    read = LLaDAModel.from_pretrained(folder, device="cpu", quantization=kind)
    plain = LLaDAModel(read.config, device=CPU, dtype=torch.float32)
    fill(plain.tensors(), SafetensorsSource(folder))
    made = plain.quantise(kind).pack().state_dict()
    assert read.state_dict().keys() == made.keys()
    for name, tensor in read.state_dict().items():
        assert tensor.dtype == made[name].dtype
        assert torch.equal(tensor.float(), made[name].float()), name
    x = drawn(3, read.shape.width)
    assert torch.equal(read.head(x), plain.head(x))  # packed, where it is tied


def test_a_network_made_elsewhere_meanwhile_has_its_numbers() -> None:
    """What is left without memory is so for the thread that reads."""
    with without_memory(), ThreadPoolExecutor() as other:
        assert other.submit(layer, None).result().plain.device == CPU
        assert Linear(4, 4, device=CPU, dtype=torch.float32).plain.is_meta
    assert layer(None).plain.device == CPU
