"""Fast-dLLM decoding for LLaDA models: ``basic``, ``prefix_cache`` and ``dual_cache``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generation import (
        BasicGeneration,
        DualCacheGeneration,
        FastDLLMGeneration,
        PrefixCacheGeneration,
    )

__version__ = "0.1.0"

__all__ = ["BasicGeneration", "DualCacheGeneration", "FastDLLMGeneration", "PrefixCacheGeneration"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(".generation", __name__), name)
