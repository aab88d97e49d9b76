"""How much memory a Nemotron checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import CheckpointError, MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import NemotronConfig

__all__ = ["estimate"]


def estimate(
    config: Mapping[str, Any],
    *,
    dtype: str = "bfloat16",
    available: int | None = None,
    tensor_parallel: int = 1,
    quantization: str | None = None,
) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``, of our own network with these weights.

    The model's own code has the same weights and cache.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.
        tensor_parallel: how many ranks hold a part of our network each; the estimate is of the first.
        quantization: "fp8" or "int8", where its weights have eight bits.

    Raises:
        CheckpointError: the configuration is damaged, its architecture is not known, or another dtype.
        UsageError: it cannot be split between so many ranks, or another quantization.
    """
    model = NemotronConfig.from_dict(config)
    if model.architecture is None:
        raise CheckpointError(f"the memory it takes cannot be told: {model.architecture_problem}")
    return estimate_of_shape(
        model.architecture.shape(model.vocab_size),
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
        tensor_parallel=tensor_parallel,
        quantization=quantization,
    )
