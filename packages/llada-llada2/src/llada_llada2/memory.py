"""How much memory a LLaDA2 checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import LLaDA2Config

__all__ = ["estimate"]


def estimate(config: Mapping[str, Any], **place: Any) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``.

    ``place`` (``dtype``, ``available``, ``tensor_parallel``, ``quantization``) is as for
    `llada_runtime.memory.estimate_of_shape`, and raises as there; besides, CheckpointError and
    UnsupportedArchitecture where the configuration is damaged or not implemented.
    """
    model = LLaDA2Config.from_dict(config)
    return estimate_of_shape(model.shape, max_sequence_length=model.max_sequence_length, **place)
