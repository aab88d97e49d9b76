"""Kernels on weights of eight bits, held to float64 products of the rounded weight: as `test_kernels`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime.network.eight_bits import dequantised, quantised
from llada_runtime.network.rotary import Rotary
from tests.runtime.interpreted import rounding_as_torch
from tests.runtime.kernel_cases import (
    BOUND,
    DEVICE,
    DTYPE,
    GPU,
    MARKS,
    SMALL,
    close,
    drawn,
    kernels_or_skip,
    nothing,
    overlaps,
    poison,
    rotated,
    silu_up,
)

kernels = kernels_or_skip()

pytestmark = MARKS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)
    if not GPU:
        rounding_as_torch(monkeypatch)


def whole(x: Any) -> Tensor:
    """The float64 numbers that are split."""
    return (x.halves.double() * x.scale.double()).unflatten(0, (-1, 2)).sum(1)


def eight(outputs: int, inputs: int, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """A weight in eight bits, its scale, and what both stand for."""
    weight, scale = quantised(drawn(outputs, inputs, scale=inputs**-0.5), kind)
    return weight, scale, dequantised(weight, scale, torch.float64)


def taken(x: Tensor, kind: str) -> Any:
    return kernels.split(x) if kind == "fp8 by halves" else x


kinds = pytest.mark.parametrize("kind", ["fp8", "int8", "fp8 by halves"])


@overlaps
@pytest.mark.parametrize("width", [64, 1000, 12288 // SMALL])
def test_halves_hold_every_bfloat16_that_matters(width: int, overlap: bool) -> None:
    x = drawn(6, width, dtype=torch.float32)
    x[1, ::7] *= 1000
    x[2] *= 1e-20
    x[3], x[4] = 0.0, 3e38 * torch.rand(width, device=DEVICE)
    x[5, 3] = torch.nan
    x = x.to(torch.bfloat16).to(DTYPE)
    found = kernels.split(x, overlap=overlap)
    assert (found.scale.log2() % 1 == 0)[:10].all()
    back, peak = whole(found), x.double().abs().amax(1, keepdim=True)
    normal = x.double().abs() >= peak * 2**-13
    assert torch.equal(back[:5][normal[:5]], x.double()[:5][normal[:5]])
    assert ((back - x.double()).abs()[:5] <= peak[:5] * 2**-21).all()
    assert back[5, 3].isnan()


def test_rows_of_halves_are_taken_together() -> None:
    found, rows = kernels.split(drawn(5, 64)), torch.tensor([4, 1, 1], device=DEVICE)
    assert torch.equal(whole(found[rows]), whole(found)[rows])
    assert len(found[rows]) == 3


@overlaps
@pytest.mark.parametrize("parts", [0, 1, 2])
def test_the_norm_splits_what_it_would_return(parts: int, overlap: bool) -> None:
    stream, weight = drawn(33, 512, scale=3.0), drawn(512)
    added = drawn(33, parts, 512).transpose(0, 1) if parts else None  # as the halves of a product lie
    again = stream.clone()
    wanted = kernels.add_and_normalise(stream, added, weight, eps=1e-5, overlap=overlap)
    found = kernels.add_normalise_and_split(again, added, weight, eps=1e-5, overlap=overlap)
    assert torch.equal(stream, again)
    assert found.dtype == DTYPE
    close(whole(found), wanted.double(), 1e-6 if GPU else 2e-3)  # float32 has more digits than two fp8


@overlaps
@kinds
@pytest.mark.parametrize("tiling", [(64, 128, 1), (128, 64, 2), (128, 128, 4)])
@pytest.mark.parametrize(("rows", "outputs", "inputs"), [(1, 256, 512), (32, 1000, 1024), (33, 384, 512)])
def test_products_of_few_rows(
    rows: int, outputs: int, inputs: int, tiling: tuple[int, int, int], kind: str, overlap: bool
) -> None:
    cut = kernels.Tiling(outputs=tiling[0], inputs=tiling[1], splits=tiling[2], stages=3)
    x, (weight, scale, exact) = drawn(rows, inputs), eight(outputs, inputs, kind.split()[0])
    found = kernels.product(taken(x, kind), weight, scale=scale, tiling=cut, overlap=overlap)
    assert found.shape == (tiling[2], rows, outputs)
    close(found.double().sum(0), x.double() @ exact.T, max(BOUND, 2e-3))


@overlaps
@kinds
@pytest.mark.parametrize("rows", [1, 32, 50])
def test_the_gated_product_is_swiglu_of_the_product(rows: int, kind: str, overlap: bool) -> None:
    x, (weight, scale, exact) = drawn(rows, 512), eight(2 * 640, 512, kind.split()[0])
    found = kernels.gated_product(
        taken(x, kind), weight, scale=scale, tiling=kernels.Tiling(outputs=128, inputs=64), overlap=overlap
    )
    close(found, silu_up(x.double() @ exact.T), max(BOUND, 2e-3))


@overlaps
@kinds
def test_queries_are_rotated_and_keys_and_values_kept(kind: str, overlap: bool) -> None:
    heads, kv, hd, columns = 8, 2, 64, 33
    turn = Rotary(frequencies=Rotary.plain(1e4, hd).frequencies.to(DEVICE)).at(
        torch.randint(0, 300, (columns,), device=DEVICE)
    )
    places = torch.randperm(200, device=DEVICE)[:columns]
    keys, values = nothing(200, kv, hd), nothing(200, kv, hd)
    x, (weight, scale, exact) = drawn(columns, 512), eight((heads + 2 * kv) * hd, 512, kind.split()[0])
    query = kernels.rotated_product(
        taken(x, kind), weight, turn.cos, turn.sin, places, keys, values,
        scale=scale, tiling=kernels.Tiling(outputs=64, inputs=128, stages=3), overlap=overlap,
    )  # fmt: skip
    q, k, v = (x.double() @ exact.T).view(columns, -1, hd).split((heads, kv, kv), 1)
    close(query, rotated(q, turn.cos, turn.sin), max(BOUND, 2e-3))
    close(keys[places], rotated(k, turn.cos, turn.sin), max(BOUND, 2e-3))
    close(values[places], v, max(BOUND, 2e-3))


@pytest.mark.parametrize("kind", ["fp8", "int8"])
@pytest.mark.parametrize(("outputs", "inputs"), [(3, 100), (64, 4096), (5, 5000)])
def test_a_weight_is_widened_as_the_plain_network_does(outputs: int, inputs: int, kind: str) -> None:
    weight, scale, _ = eight(outputs, inputs, kind)
    assert torch.equal(kernels.widened(weight, scale, DTYPE), dequantised(weight, scale, DTYPE))


@pytest.mark.parametrize(("rows", "hidden", "count"), [(3, 100, 1), (33, 1536, 2), (5, 12288 // SMALL, 2)])
def test_the_gate_splits_what_it_would_return(rows: int, hidden: int, count: int) -> None:
    parts = drawn(rows, count, 2 * hidden).transpose(0, 1)
    found, wanted = kernels.swiglu_and_split(parts), kernels.swiglu(parts)
    assert (len(found), found.dtype) == (rows, DTYPE)
    close(whole(found), wanted.double(), 1e-6 if GPU else 2e-3)


@pytest.mark.parametrize("interleaved", [False, True])
def test_gates_and_ups_may_come_in_parts(interleaved: bool) -> None:
    parts = drawn(33, 2, 2 * 1000).transpose(0, 1) if interleaved else drawn(2, 33, 2 * 1000)
    close(kernels.swiglu(parts), silu_up(parts.double().sum(0)))


def test_queries_keys_and_values_may_come_in_two_parts() -> None:
    turn = Rotary(frequencies=Rotary.plain(1e4, 64).frequencies.to(DEVICE)).at(torch.arange(5, device=DEVICE))
    parts, places = drawn(5, 2, 8, 64), torch.tensor([4, 3, -1, 9, 0], device=DEVICE)
    exact, keys, values = parts.double().sum(1), nothing(10, 2, 64), nothing(10, 2, 64)
    kernels.rotate_and_keep(parts, turn.cos, turn.sin, heads=4, places=places, keys=keys, values=values)
    close(parts[:, 0, :6], rotated(exact[:, :6], turn.cos, turn.sin))
    close(parts[:, 0, 6:], exact[:, 6:])
    kept = places >= 0
    assert torch.equal(keys[places[kept]], parts[kept, 0, 4:6])
    assert torch.equal(values[places[kept]], parts[kept, 0, 6:])
