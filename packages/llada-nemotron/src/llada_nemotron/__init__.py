"""Nemotron diffusion models: by the model's own code, or on a network of our own.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .block import BlockGeneration
    from .config import NemotronConfig
    from .errors import NativeCodeError, UnfilledMasks
    from .generation import AutoregressiveGeneration, LinearSpecGeneration, NemotronGeneration
    from .model import NemotronModel
    from .native import NativeModel
    from .network import NemotronNetwork

__version__ = "0.2.0"

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AutoregressiveGeneration": "llada_nemotron.generation",
        "BlockGeneration": "llada_nemotron.block",
        "LinearSpecGeneration": "llada_nemotron.generation",
        "NativeCodeError": "llada_nemotron.errors",
        "NativeModel": "llada_nemotron.native",
        "NemotronConfig": "llada_nemotron.config",
        "NemotronGeneration": "llada_nemotron.generation",
        "NemotronModel": "llada_nemotron.model",
        "NemotronNetwork": "llada_nemotron.network",
        "UnfilledMasks": "llada_nemotron.errors",
    },
)
