"""How much memory a Dream checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import DreamConfig

__all__ = ["estimate"]

_ANSWER = 512  # positions decided at a time: of an answer as long as the published sampler writes


def estimate(config: Mapping[str, Any], **place: Any) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``, with the logits of a whole answer of 512 tokens.

    ``place`` (``dtype``, ``available``, ``tensor_parallel``, ``quantization``) is as for
    `llada_runtime.memory.estimate_of_shape`, and raises as there; besides, CheckpointError and
    UnsupportedArchitecture where the configuration is damaged or not implemented.
    """
    model = DreamConfig.from_dict(config)
    return estimate_of_shape(
        model.shape, max_sequence_length=model.max_sequence_length, logits_columns=_ANSWER, **place
    )
