"""How much memory a Dream checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import DreamConfig

__all__ = ["estimate"]


def estimate(
    config: Mapping[str, Any],
    *,
    dtype: str = "bfloat16",
    available: int | None = None,
    tensor_parallel: int = 1,
    quantization: str | None = None,
) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.
        tensor_parallel: how many ranks hold a part of the network each; the estimate is of the first.
        quantization: "fp8" or "int8", where its weights have eight bits.

    Raises:
        CheckpointError: the configuration is damaged or of another network, or another dtype.
        UsageError: it cannot be split between so many ranks, or another quantization.
    """
    model = DreamConfig.from_dict(config)
    return estimate_of_shape(
        model.shape,
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
        tensor_parallel=tensor_parallel,
        quantization=quantization,
    )
