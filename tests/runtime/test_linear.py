"""The linear product: the same bits in any company, apart from the stream that it is added to."""

from __future__ import annotations

import pytest
import torch

from llada_runtime.network.linear import Linear
from tests.runtime.packing import KINDS

CPU = torch.device("cpu")


def filled(
    out_features: int,
    in_features: int,
    *,
    bias: bool = False,
    kind: type[Linear] = Linear,
    dtype: torch.dtype = torch.float32,
) -> Linear:
    layer = kind(out_features, in_features, bias=bias, device=CPU, dtype=dtype)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(seed))
    return layer


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(48, 16), (16, 24), (1536, 256), (1024, 512), (512, 1376)])
def test_a_packed_linear_gives_each_row_the_same_bits_in_any_company(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    layer, draw = filled(*shape, dtype=dtype), torch.Generator().manual_seed(1)
    x, residual = (torch.randn(150, width, generator=draw).to(dtype) for width in (shape[1], shape[0]))
    layer.pack()
    whole, added = layer(x), layer.onto(x, residual.clone())
    for start, count in [(0, 1), (3, 2), (5, 3), (9, 12), (9, 16), (30, 33), (1, 69), (7, 128), (2, 141)]:
        part = slice(start, start + count)
        assert torch.equal(layer(x[part].contiguous()), whole[part])
        assert torch.equal(layer.onto(x[part].contiguous(), residual[part].clone()), added[part])
    wide = x.double() @ filled(*shape, dtype=dtype).plain.double().T
    error = (whole.double() - wide).norm() / wide.norm()
    assert error < (1e-6 if dtype == torch.float32 else 4e-3)


def test_packing_frees_the_plain_weight_and_keeps_the_product() -> None:
    layer = filled(8, 6)
    x, residual = torch.randn(5, 6), torch.randn(5, 8)
    plain, added = layer(x), layer.onto(x, residual.clone())
    layer.pack()
    assert layer.weight is None
    torch.testing.assert_close(layer(x), plain)
    torch.testing.assert_close(layer.onto(x, residual), added)


def test_a_bias_is_added_once_packed_or_not() -> None:
    layer = filled(8, 6, bias=True)
    x, residual = torch.randn(5, 6), torch.randn(5, 8)
    wanted = x @ layer.plain.T + layer.bias
    for _ in ("plain", "packed"):
        torch.testing.assert_close(layer(x), wanted)
        torch.testing.assert_close(layer.onto(x, residual), wanted + residual)
        layer.pack()


@pytest.mark.parametrize("packed", [False, True])
def test_the_stream_that_a_product_is_added_to_is_left_as_it_was(packed: bool) -> None:
    layer = filled(8, 6)
    if packed:
        layer.pack()
    residual = torch.ones(5, 8)
    layer.onto(torch.randn(5, 6), residual)
    assert torch.equal(residual, torch.ones(5, 8))


def test_another_product_is_one_method() -> None:
    class Halved(Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) / 2

        def pack(self) -> None:
            """Its weights have a layout of their own."""

    layer = filled(8, 6, kind=Halved)
    layer.pack()
    x, residual = torch.randn(5, 6), torch.randn(5, 8)
    torch.testing.assert_close(layer.onto(x, residual), residual + x @ layer.plain.T / 2)
