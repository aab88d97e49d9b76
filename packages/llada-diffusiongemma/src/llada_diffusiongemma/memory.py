"""How much memory a DiffusionGemma checkpoint needs, and how it would run, from its config alone.

This module does not know torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core.errors import CheckpointError, UsageError
from llada_runtime import MemoryEstimate

from .config import GemmaConfig

__all__ = ["LOGIT_COPIES", "estimate", "logit_bytes", "mask_bytes", "planned_steps"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
LOGIT_COPIES = 8
"""Tensors of a canvas's logits in float32 that are alive together at most, while entropies are computed: raw,
divided by the temperature, their probabilities, those fed back, and four within torch's Categorical."""


def logit_bytes(model: GemmaConfig) -> int:
    """Bytes that the logits of one canvas take with their copies; one canvas is computed at a time."""
    return LOGIT_COPIES * model.canvas_length * model.vocab_size * 4


def mask_bytes(model: GemmaConfig, columns: int, itemsize: int) -> int:
    """Bytes that masks take while a prompt of so many columns is read; one prompt is read at a time.

    They go with the square of the length. ``itemsize`` is that of a number of the attention, which each
    layer's mask is turned into when it is its turn; while the masks are made, five take a byte at most.
    """
    count = model.masks(columns)
    return columns**2 * max(count + itemsize, count + 3) if count else 0


def estimate(
    config: Mapping[str, Any],
    *,
    dtype: str = "bfloat16",
    available: int | None = None,
    tensor_parallel: int = 1,
    quantization: str | None = None,
) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``.

    The vision tower is not counted: it is dropped when the model is loaded. ``kv_per_token`` is that of a
    column which every layer keeps; as sliding layers keep their window alone, ``kv_per_row`` is far less than
    that times the columns. ``columns_that_fit`` are those of rows as long as may be: ``rows_that_fit`` of
    full length, and one more with what is left; rows within the window take more memory a column. The logits
    are those of the one canvas that is computed at a time, whatever the number of rows. What the masks of a
    prompt take while it is read is in none of the figures, as the length of a prompt is not known here: see
    `mask_bytes`.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.
        tensor_parallel, quantization: refused, as by loading.

    Raises:
        CheckpointError: the configuration is damaged or asks for what is not implemented, or another dtype.
        UsageError: it is to be split or quantised.
    """
    if tensor_parallel > 1 or quantization is not None:
        asked = "quantization" if quantization is not None else "tensor_parallel"
        raise UsageError(f"DiffusionGemma is loaded whole and as published; leave {asked} out")
    if dtype not in _BYTES:
        raise CheckpointError(f"dtype {dtype!r} cannot be used; choose 'float32', 'bfloat16' or 'float16'")
    model = GemmaConfig.from_dict(config)
    size, longest = _BYTES[dtype], model.max_position_embeddings
    weights, logits = model.parameter_count * size, logit_bytes(model)
    column, row = model.kv_numbers(1) * size, model.kv_numbers(longest) * size
    left = None if available is None else max(available - weights - logits, 0)
    return MemoryEstimate(
        dtype=dtype,
        weights=weights,
        kv_per_token=column,
        logits_per_row=logits,
        max_sequence_length=longest,
        kv_per_row=row,
        available=available,
        columns_that_fit=None if left is None else _columns(model, left // size),
        rows_that_fit=None if left is None else left // row,
    )


def _columns(model: GemmaConfig, numbers: int) -> int:
    """Columns of all rows together, as long as may be, whose keys and values are so many numbers."""
    longest = model.max_position_embeddings
    rows, left = divmod(numbers, model.kv_numbers(longest))
    return rows * longest + model.columns_within(left)


def planned_steps(config: Mapping[str, Any], *, device: str, dtype: str) -> str:
    """One sentence on how a model with this parsed ``config.json`` would run its steps.

    Raises CheckpointError and UnsupportedArchitecture as ``estimate``.
    """
    canvas = GemmaConfig.from_dict(config).canvas_length
    return (
        f"steps run on transformers' own class on {device} in {dtype}: a canvas of {canvas} tokens a step, "
        "of one row at a time"
    )
