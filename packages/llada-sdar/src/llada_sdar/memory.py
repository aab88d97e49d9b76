"""How much memory an SDAR checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import length_of, shape_of

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
        tensor_parallel: how many ranks hold a part each; the estimate is of the first.
        quantization: "fp8" or "int8", where weights have eight bits.

    Raises:
        CheckpointError: the configuration is damaged, or another dtype.
        UnsupportedArchitecture: it asks for what the network does not implement.
        UsageError: it cannot be split between so many ranks, or another quantization.
    """
    return estimate_of_shape(
        shape_of(config),
        max_sequence_length=length_of(config),
        dtype=dtype,
        available=available,
        tensor_parallel=tensor_parallel,
        quantization=quantization,
    )
