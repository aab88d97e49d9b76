"""How a model is loaded by the code that comes with it. Load one only if you trust that code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from llada_runtime import CheckpointError
from llada_runtime.models import own_code
from llada_runtime.network.checkpoint import choose_device, choose_dtype

from .config import NemotronConfig

__all__ = ["config_of", "load_by_own_code"]


def config_of(model: Any, fields: Mapping[str, Any]) -> NemotronConfig:
    """What ``config.json`` says, with what its own class fills in where ``fields`` do not say enough."""
    try:
        return NemotronConfig.from_dict(fields)
    except CheckpointError:  # the file of a foreign model may leave out what its config class knows
        return NemotronConfig.from_dict({**model.config.to_dict(), **fields})


def load_by_own_code(
    folder: Path,
    fields: Mapping[str, Any],
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
) -> Any:
    """The model by its own code, ready to decode."""
    place, remedy = choose_device(device), _remedy(fields)
    precision = choose_dtype(dtype, place)
    config = own_code.load_config(folder, remedy=remedy)
    if hasattr(config, "dlm_paradigm"):
        config.dlm_paradigm = "bidirectional"  # tuned models keep one whose attention is for training
    name = own_code.auto_classes(fields)[0]
    return own_code.load_model(folder, name, config=config, device=place, dtype=precision, remedy=remedy)


def _remedy(fields: Mapping[str, Any]) -> str:
    listed = fields.get("architectures")
    names = listed if isinstance(listed, list) else []
    labs = any(str(name).startswith("NemotronLabs") for name in names)
    if labs and int(transformers.__version__.partition(".")[0]) < 5:
        return f"it needs transformers>=5, and {transformers.__version__} is installed; upgrade transformers"
    return (
        "see its model card for the versions that it needs, "
        "and check that config.json and the weights belong together"
    )
