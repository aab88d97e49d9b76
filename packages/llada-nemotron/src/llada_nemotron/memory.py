"""How much memory a Nemotron checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import CheckpointError, MemoryEstimate, estimate_of

from .config import Architecture, NemotronConfig

__all__ = ["estimate", "parameter_count"]


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
    numbers = model.architecture
    if numbers is None:
        raise CheckpointError(f"the memory it takes cannot be told: {model.architecture_problem}")
    return estimate_of(
        parameter_count=parameter_count(numbers, model.vocab_size),
        n_layers=numbers.num_hidden_layers,
        n_kv_heads=numbers.num_key_value_heads,
        head_dim=numbers.head_dim,
        vocabulary=model.vocab_size,
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
    )


def parameter_count(numbers: Architecture, vocab_size: int) -> int:
    """Number of weights, from the dimensions alone; embedding and head are never tied."""
    width = numbers.hidden_size
    norms = 2 * width + (2 * numbers.head_dim if numbers.qk_norm else 0)
    layer = _attention(numbers) + 3 * width * numbers.intermediate_size + norms
    return numbers.num_hidden_layers * layer + 2 * vocab_size * width + width


def _attention(numbers: Architecture) -> int:
    """Weights of the four projections of a layer: q and o are as wide as all heads, k and v as the shared."""
    width = numbers.hidden_size
    wide = numbers.num_attention_heads * numbers.head_dim
    shared = numbers.num_key_value_heads * numbers.head_dim
    biases = wide + 2 * shared + width if numbers.attention_bias else 0
    return 2 * width * (wide + shared) + biases
