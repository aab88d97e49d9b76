"""What weights can be made when a checkpoint is loaded, by name. This module does not know torch."""

from __future__ import annotations

from llada_core.errors import UsageError

__all__ = ["QUANTIZATIONS", "check_quantization"]

QUANTIZATIONS = ("fp8", "int8")


def check_quantization(kind: str | None) -> str | None:
    """``kind``, where it is one of `QUANTIZATIONS` or None. Raises UsageError."""
    if kind is not None and kind not in QUANTIZATIONS:
        raise UsageError(f"quantization {kind!r} cannot be used; choose 'fp8' or 'int8', or leave it out")
    return kind
