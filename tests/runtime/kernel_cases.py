"""What tests of kernels share: where and in what they run, fresh numbers, poisoned outputs, exact results."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import torch
from torch import Tensor

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPE = torch.bfloat16 if GPU else torch.float32  # the interpreter has no bf16 products
SMALL = 1 if GPU else 4  # shapes are divided by this
BOUND = 6e-3 if GPU else 1e-4

MARKS = [
    pytest.mark.filterwarnings("ignore"),  # NumPy's of Triton's interpreter
    *([pytest.mark.gpu] if GPU else []),
]
overlaps = pytest.mark.parametrize("overlap", [False, True] if GPU else [False])


def kernels_or_skip() -> Any:
    """The module of the kernels; the module of tests that asks for it is skipped where they cannot run."""
    kernels = pytest.importorskip("llada_runtime.network.kernels", reason="the kernels need Triton")
    if not GPU and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("without a GPU kernels run only where TRITON_INTERPRET=1 is set", allow_module_level=True)
    return kernels


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other numbers at every run, and outputs that are NaN, or -9, until they are written."""
    torch.manual_seed(random.SystemRandom().randrange(1 << 30))
    empty = torch.Tensor.new_empty

    def poisoned(tensor: Tensor, *size: Any, **kind: Any) -> Tensor:
        out = empty(tensor, *size, **kind)
        return out.fill_(torch.nan if out.is_floating_point() else -9)

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)


def drawn(*shape: int, scale: float = 1.0, dtype: torch.dtype = DTYPE) -> Tensor:
    return (torch.randn(shape, device=DEVICE) * scale).to(dtype)


def nothing(*shape: int) -> Tensor:
    return torch.full(shape, torch.nan, device=DEVICE, dtype=DTYPE)


def index(values: list[int], dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(values, device=DEVICE, dtype=dtype)


def close(got: Tensor, want: Tensor, bound: float = BOUND) -> None:
    """Refuse an error relative to the whole, or any NaN."""
    assert ((got.double() - want).norm() / want.norm()).item() < bound


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    c, s = cos[..., half:].double(), sin[..., half:].double()
    low, high = x.double().chunk(2, -1)
    return torch.cat((low * c - high * s, high * c + low * s), -1)


def silu_up(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, -1)
    return gate * torch.sigmoid(gate) * up
