"""Fast-dLLM decoding for LLaDA models: ``basic``, ``prefix_cache`` and ``dual_cache``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .generation import (
        BasicGeneration,
        DualCacheGeneration,
        FastDLLMGeneration,
        PrefixCacheGeneration,
        RunsByOwnCode,
    )

__version__ = "0.2.0"

__all__ = [
    "BasicGeneration",
    "DualCacheGeneration",
    "FastDLLMGeneration",
    "PrefixCacheGeneration",
    "RunsByOwnCode",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BasicGeneration": "llada_fastdllm.generation",
        "DualCacheGeneration": "llada_fastdllm.generation",
        "FastDLLMGeneration": "llada_fastdllm.generation",
        "PrefixCacheGeneration": "llada_fastdllm.generation",
        "RunsByOwnCode": "llada_fastdllm.generation",
    },
)
