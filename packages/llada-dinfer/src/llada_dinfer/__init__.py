"""dInfer decoding for LLaDA models: ``dinfer_blockwise``, ``dinfer_hierarchy`` and ``dinfer_credit``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generation import (
        BlockWiseGeneration,
        CreditGeneration,
        DInferGeneration,
        HierarchyGeneration,
    )

__version__ = "0.1.0"

__all__ = ["BlockWiseGeneration", "CreditGeneration", "DInferGeneration", "HierarchyGeneration"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(".generation", __name__), name)
