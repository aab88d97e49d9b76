"""A network that lets go of its device's memory for a while, and takes it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from llada_runtime.network.exchange import whole
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.grouped import GroupedLinear
from llada_runtime.network.linear import Linear
from llada_runtime.network.shortage import give_back
from llada_runtime.network.warmup import warm_up

__all__ = ["release", "take"]


@torch.inference_mode(False)
def release(network: Any, level: int) -> None:
    """Free what the network has on its device: graphs, what is reserved for keys and values, and weights.

    At ``level`` 1 these go to the host's memory, at 2 they are dropped. A forward raises until `take`. Caches
    that somebody else holds stay. Raises UsageError where the network is none of this runtime, or is split
    between ranks.
    """
    inner = whole(network, "its memory cannot be released")
    if isinstance(network, Graphed):
        network.let_go()
    if level == 1:
        _replace(inner, lambda tensor: tensor.to("cpu"))
    else:
        _replace(inner, lambda tensor: torch.empty_like(tensor, device="meta"))
        for part in inner.modules():
            if isinstance(part, Linear | GroupedLinear):
                part.forget()
    give_back(inner.device)


@torch.inference_mode(False)
def take(network: Any) -> None:
    """Have the weights on the network's device again, 0 where they were dropped, and its graphs captured.

    Where that fails, as by torch.OutOfMemoryError, nothing of them stays on the device.
    """
    inner = whole(network, "its memory cannot be taken again")

    def there(tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return torch.zeros(tensor.shape, dtype=tensor.dtype, device=inner.device)
        return tensor.to(inner.device)

    dropped = any(parameter.is_meta for parameter in inner.parameters())
    try:
        _replace(inner, there)
        warm_up(network)
    except BaseException:
        release(network, 2 if dropped else 1)
        raise


@torch.no_grad()
def _replace(network: nn.Module, made: Callable[[Tensor], Tensor]) -> None:
    """Put what is ``made`` of each parameter in its place: one in all places of one, as of a tied head."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((module, name))
    for owners in places.values():  # one after the other, so that both are never there of all
        module, name = owners[0]
        new = nn.Parameter(made(getattr(module, name).detach()), requires_grad=False)
        for module, name in owners:
            setattr(module, name, new)
