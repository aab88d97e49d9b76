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
    """What one model needs, in bytes, and how much fits.

    Keys and values are kept by columns: a row holds as many as its prompt and answer have.

    Attributes:
        dtype: of the weights and of the cache.
        weights: all parameters.
        kv_per_token: keys and values of one column of one row.
        logits_per_row: logits of one block of 32 positions of one row, with the float32 working copy.
        max_sequence_length: the model's limit, in columns.
        kv_per_row: a row of that length.
        available: bytes that were said to be free, or None.
        columns_that_fit: columns of all rows together whose keys and values fit in ``available`` beside the
            weights and the logits of one row, or None.
        rows_that_fit: rows of full length that fit there, each with its logits, or None.
    """

    dtype: str
    weights: int
    kv_per_token: int
    logits_per_row: int
    max_sequence_length: int
    kv_per_row: int
    available: int | None
    columns_that_fit: int | None
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
    shape = model.shape
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
    left = None if available is None else max(available - weights, 0)
    return MemoryEstimate(
        dtype=dtype,
        weights=weights,
        kv_per_token=kv_per_token,
        logits_per_row=logits,
        max_sequence_length=max_sequence_length,
        kv_per_row=row,
        available=available,
        columns_that_fit=None if left is None else max(left - logits, 0) // kv_per_token,
        rows_that_fit=None if left is None else left // (row + logits),
    )
