"""The arithmetic of a network is that of its own dtype, whatever autocast a caller has switched on around it.

What holds for a whole process is left to it: with ``torch.set_float32_matmul_precision("high")`` products of
float32 are torch's of fewer bits, those of a float32 network and of the plain way's routers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

__all__ = ["without_autocast"]

P = ParamSpec("P")
R = TypeVar("R")


def without_autocast(forward: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """The method ``forward`` of what has a ``device``, with ``torch.autocast`` off inside."""

    @functools.wraps(forward)
    def exact(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        kind = self.device.type
        if not torch.is_autocast_enabled(kind):
            return forward(self, *args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return forward(self, *args, **kwargs)

    return exact
