"""How a checkpoint's steps would run on a device, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime.models.register import network_class
from llada_runtime.network.transformer import Transformer

__all__ = ["planned_steps"]


def planned_steps(config: Mapping[str, Any], *, device: str, dtype: str) -> str:
    """One sentence on how the network that is registered for this parsed ``config.json`` would run its steps.

    An engine with a network of its own names `Transformer.planned_steps` of that.

    Raises:
        CheckpointError, UnsupportedArchitecture: no network of this runtime is configured so.
    """
    kind = network_class(config)
    if not issubclass(kind, Transformer):
        return f"steps run on the kernels of {kind.__name__}"
    return kind.planned_steps(config, device=device, dtype=dtype)
