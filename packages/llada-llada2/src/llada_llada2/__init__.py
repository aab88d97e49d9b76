"""LLaDA2.0 and LLaDA2.1 as an engine of the llada registry.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .config import LLaDA2Config
    from .generation import (
        DInferGeneration,
        EditGeneration,
        JointThresholdGeneration,
        LLaDA2Generation,
        LowConfidenceGeneration,
    )
    from .network import LLaDA2Network

__version__ = "0.2.0"

__all__ = [
    "DInferGeneration",
    "EditGeneration",
    "JointThresholdGeneration",
    "LLaDA2Config",
    "LLaDA2Generation",
    "LLaDA2Network",
    "LowConfidenceGeneration",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DInferGeneration": "llada_llada2.generation",
        "EditGeneration": "llada_llada2.generation",
        "JointThresholdGeneration": "llada_llada2.generation",
        "LLaDA2Config": "llada_llada2.config",
        "LLaDA2Generation": "llada_llada2.generation",
        "LLaDA2Network": "llada_llada2.network",
        "LowConfidenceGeneration": "llada_llada2.generation",
    },
)
