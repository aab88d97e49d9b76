"""How much memory a checkpoint needs, from its configuration alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llada_core.errors import CheckpointError
from llada_runtime.models.llada_config import LLaDAConfig

__all__ = ["MemoryEstimate", "estimate", "estimate_of"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_BLOCK = 32  # positions whose logits exist at a time, per row: one block of the default length
_LOGIT_COPIES = 2  # the network's logits and the float32 copy that confidences are computed on


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """What one model needs, in bytes, and how many rows fit.

    Attributes:
        dtype: of the weights and of the cache.
        weights: all parameters.
        kv_per_token: keys and values of one column of one row.
        logits_per_row: logits of one block of 32 positions of one row, with the float32 working copy.
        max_sequence_length: the model's limit, in columns.
        kv_per_row: a row of that length.
        available: bytes that were said to be free, or None.
        rows_that_fit: rows of full length that fit in ``available`` beside the weights, or None.
    """

    dtype: str
    weights: int
    kv_per_token: int
    logits_per_row: int
    max_sequence_length: int
    kv_per_row: int
    available: int | None
    rows_that_fit: int | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(
    config: Mapping[str, Any], *, dtype: str = "bfloat16", available: int | None = None
) -> MemoryEstimate:
    """The estimate for the parsed ``config.json`` of a LLaDA checkpoint.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.

    Raises:
        CheckpointError: the configuration is not one that this runtime loads, or another dtype.
    """
    model = LLaDAConfig.from_dict(config)
    return estimate_of(
        parameter_count=model.parameter_count,
        n_layers=model.n_layers,
        n_kv_heads=model.n_kv_heads,
        head_dim=model.head_dim,
        vocabulary=model.embedding_size,
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
    )


def estimate_of(
    *,
    parameter_count: int,
    n_layers: int,
    n_kv_heads: int,
    head_dim: int,
    vocabulary: int,
    max_sequence_length: int,
    dtype: str = "bfloat16",
    available: int | None = None,
) -> MemoryEstimate:
    """The estimate for any network that caches keys and values and decodes blocks.

    Args:
        parameter_count: of all weights, an embedding and a head that are tied counted once.
        vocabulary: columns of the logits.
        max_sequence_length: columns of a row of full length.
        dtype, available: as for ``estimate``.

    Raises:
        CheckpointError: another dtype.
    """
    if dtype not in _BYTES:
        raise CheckpointError(f"dtype {dtype!r} cannot be used; choose 'float32', 'bfloat16' or 'float16'")
    weights = parameter_count * _BYTES[dtype]
    kv_per_token = 2 * n_layers * n_kv_heads * head_dim * _BYTES[dtype]
    logits = _LOGIT_COPIES * _BLOCK * vocabulary * 4
    row = kv_per_token * max_sequence_length
    return MemoryEstimate(
        dtype=dtype,
        weights=weights,
        kv_per_token=kv_per_token,
        logits_per_row=logits,
        max_sequence_length=max_sequence_length,
        kv_per_row=row,
        available=available,
        rows_that_fit=None if available is None else max(available - weights, 0) // (row + logits),
    )
