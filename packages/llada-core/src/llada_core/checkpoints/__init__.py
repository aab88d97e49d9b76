"""Checkpoints on disk and on the hub: where their files are, what their config says, how they are loaded.

``dcp`` and ``tokenizer`` are imported where they are used.
"""

from __future__ import annotations

from llada_core.checkpoints.config import ModelConfig, read_fields
from llada_core.checkpoints.hub import read_config, resolve_model
from llada_core.checkpoints.options import LoadOptions

__all__ = ["LoadOptions", "ModelConfig", "read_config", "read_fields", "resolve_model"]
