"""How much memory an SDAR checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import length_of, shape_of

__all__ = ["estimate"]


def estimate(config: Mapping[str, Any], **place: Any) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``.

    ``place`` (``dtype``, ``available``, ``tensor_parallel``, ``quantization``) is as for
    `llada_runtime.memory.estimate_of_shape`, and raises as there; besides, CheckpointError and
    UnsupportedArchitecture where the configuration is damaged or not implemented.
    """
    return estimate_of_shape(shape_of(config), max_sequence_length=length_of(config), **place)
