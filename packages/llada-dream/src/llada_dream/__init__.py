"""Dream, Dream-Coder and DiffuCoder: the published sampler, and Fast-dLLM's decoders for Dream.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .config import DreamConfig
    from .generation import (
        DreamGeneration,
        DualCacheGeneration,
        PrefixCacheGeneration,
        ThresholdGeneration,
    )
    from .network import DreamNetwork

__version__ = "0.2.0"

__all__ = [
    "DreamConfig",
    "DreamGeneration",
    "DreamNetwork",
    "DualCacheGeneration",
    "PrefixCacheGeneration",
    "ThresholdGeneration",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DreamConfig": "llada_dream.config",
        "DreamGeneration": "llada_dream.generation",
        "DreamNetwork": "llada_dream.network",
        "DualCacheGeneration": "llada_dream.generation",
        "PrefixCacheGeneration": "llada_dream.generation",
        "ThresholdGeneration": "llada_dream.generation",
    },
)
