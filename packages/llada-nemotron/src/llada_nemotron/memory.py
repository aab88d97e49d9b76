"""How much memory a Nemotron checkpoint needs, from its config alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import CheckpointError, MemoryEstimate
from llada_runtime.memory import estimate_of_shape

from .config import NemotronConfig

__all__ = ["estimate"]


def estimate(config: Mapping[str, Any], **place: Any) -> MemoryEstimate:
    """The estimate for a parsed ``config.json``, of our own network with these weights.

    The model's own code has the same weights and cache. ``place`` (``dtype``, ``available``,
    ``tensor_parallel``, ``quantization``) is as for `llada_runtime.memory.estimate_of_shape`, and raises as
    there; besides, CheckpointError where the configuration is damaged or its architecture is not known.
    """
    model = NemotronConfig.from_dict(config)
    if model.architecture is None:
        raise CheckpointError(f"the memory it takes cannot be told: {model.architecture_problem}")
    return estimate_of_shape(
        model.architecture.shape(model.vocab_size),
        max_sequence_length=model.max_sequence_length,
        **place,
    )
