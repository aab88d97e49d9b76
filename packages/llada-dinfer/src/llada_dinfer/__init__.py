"""dInfer decoding for LLaDA models: ``dinfer_blockwise``, ``dinfer_hierarchy`` and ``dinfer_credit``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .generation import (
        BlockWiseGeneration,
        CreditGeneration,
        DInferGeneration,
        HierarchyGeneration,
    )

__version__ = "0.2.0"

__all__ = ["BlockWiseGeneration", "CreditGeneration", "DInferGeneration", "HierarchyGeneration"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BlockWiseGeneration": "llada_dinfer.generation",
        "CreditGeneration": "llada_dinfer.generation",
        "DInferGeneration": "llada_dinfer.generation",
        "HierarchyGeneration": "llada_dinfer.generation",
    },
)
