"""The weights of products as they are before a checkpoint is read: with memory, or without until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

__all__ = ["unfilled", "without_memory"]

_WITHOUT = ContextVar("without memory", default=False)


@contextmanager
def without_memory() -> Iterator[None]:
    """Within it, what `unfilled` makes has a shape and no numbers: it is on the device "meta"."""
    token = _WITHOUT.set(True)
    try:
        yield
    finally:
        _WITHOUT.reset(token)


def unfilled(*shape: int, device: torch.device, dtype: torch.dtype) -> nn.Parameter:
    """A weight of ``shape``, frozen, that is to be filled."""
    place = torch.device("meta") if _WITHOUT.get() else device
    return nn.Parameter(torch.empty(*shape, device=place, dtype=dtype), requires_grad=False)
