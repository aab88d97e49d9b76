"""Nemotron diffusion models: by the model's own code, or on a network of our own.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .block import BlockGeneration
    from .config import NemotronConfig
    from .errors import NativeCodeError, UnfilledMasks
    from .generation import AutoregressiveGeneration, LinearSpecGeneration, NemotronGeneration
    from .model import NemotronModel
    from .native import NativeModel
    from .network import NemotronNetwork

__version__ = "0.1.0"

_HOMES = {
    "AutoregressiveGeneration": "generation",
    "BlockGeneration": "block",
    "NemotronNetwork": "network",
    "LinearSpecGeneration": "generation",
    "NativeCodeError": "errors",
    "NativeModel": "native",
    "NemotronConfig": "config",
    "NemotronGeneration": "generation",
    "NemotronModel": "model",
    "UnfilledMasks": "errors",
}

__all__ = [
    "AutoregressiveGeneration",
    "BlockGeneration",
    "LinearSpecGeneration",
    "NativeCodeError",
    "NativeModel",
    "NemotronConfig",
    "NemotronGeneration",
    "NemotronModel",
    "NemotronNetwork",
    "UnfilledMasks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
