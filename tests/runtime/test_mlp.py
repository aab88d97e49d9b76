"""The part of a layer that works on each column alone, whatever number of threads computes it."""

from __future__ import annotations

import pytest
import torch

from llada_runtime.network.mlp import swiglu


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("width", [1000, 4004])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_column_has_the_same_bits_in_any_company_on_two_threads(width: int, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    for count in (33, 65):
        gate_up = (3 * torch.randn(count, 2 * width, generator=draw)).to(dtype)
        alone = torch.cat([swiglu(row[None]) for row in gate_up])
        assert torch.equal(swiglu(gate_up), alone)


def test_it_is_silu_of_the_first_half_times_the_second() -> None:
    gate_up = torch.randn(5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gate, up = gate_up[:, :6], gate_up[:, 6:]
    torch.testing.assert_close(swiglu(gate_up), gate / (1 + (-gate).exp()) * up)
