"""How much memory a Nemotron checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import CheckpointError, MemoryEstimate, estimate_of

from .config import NemotronConfig

__all__ = ["estimate"]


def estimate(
    config: Mapping[str, Any], *, dtype: str = "bfloat16", available: int | None = None
) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``, of our own network with these weights.

    The model's own code has the same weights and cache.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.

    Raises:
        CheckpointError: the configuration is damaged, its architecture is not known, or another dtype.
    """
    model = NemotronConfig.from_dict(config)
    if model.architecture is None:
        raise CheckpointError(f"the memory it takes cannot be told: {model.architecture_problem}")
    shape = model.architecture.shape(model.vocab_size)
    return estimate_of(
        parameter_count=shape.parameter_count,
        n_layers=shape.n_layers,
        n_kv_heads=shape.n_kv_heads,
        head_dim=shape.head_dim,
        vocabulary=shape.vocabulary,
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
    )
