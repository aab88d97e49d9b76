"""The weights of products as they are before a checkpoint is read: with memory, or without until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

__all__ = ["memory_of", "unfilled", "without_memory"]

_WITHOUT = ContextVar("without memory", default=False)


@contextmanager
def without_memory() -> Iterator[None]:
    """Within it, what `unfilled` makes has a shape and no numbers: it is on the device "meta"."""
    token = _WITHOUT.set(True)
    try:
        yield
    finally:
        _WITHOUT.reset(token)


def memory_of(tensor: Tensor) -> int:
    """What is the same for all views of one tensor, with memory or without."""
    memory: int = tensor.untyped_storage()._cdata
    return memory


def unfilled(*shape: int, device: torch.device, dtype: torch.dtype) -> nn.Parameter:
    """A weight of ``shape``, frozen, that is to be filled."""
    place = torch.device("meta") if _WITHOUT.get() else device
    return nn.Parameter(torch.empty(*shape, device=place, dtype=dtype), requires_grad=False)
