"""How a checkpoint's steps would run on a device, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from llada_core.environment import read_environment
from llada_runtime.models.register import network_class
from llada_runtime.network.checkpoint import choose_dtype
from llada_runtime.network.step_path import sentence
from llada_runtime.network.transformer import Transformer

__all__ = ["planned_steps", "planned_steps_of"]


def planned_steps(config: Mapping[str, Any], *, device: str, dtype: str) -> str:
    """One sentence on how a network with this parsed ``config.json`` would run its steps.

    Raises:
        CheckpointError, UnsupportedArchitecture: no network of this runtime is configured so.
    """
    return planned_steps_of(network_class(config), config, device=device, dtype=dtype)


def planned_steps_of(kind: type[Any], config: Mapping[str, Any], *, device: str, dtype: str) -> str:
    """The same for a network of the class ``kind``. Raises as `planned_steps`."""
    place, precision = torch.device(device), choose_dtype(dtype, torch.device(device))
    if not issubclass(kind, Transformer):
        return f"steps run on the kernels of {kind.__name__}"
    network = kind(kind.config_class.from_dict(config), device=torch.device("meta"), dtype=precision)
    graphed = place.type == "cuda" and read_environment().graphs
    return sentence(network.why_plain_on(place), graphed=graphed)
