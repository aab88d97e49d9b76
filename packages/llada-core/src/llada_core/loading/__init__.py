"""A checkpoint in memory, with every algorithm that can run on it."""

from __future__ import annotations

from llada_core.loading.load import embedded_model, load_model
from llada_core.loading.loaded import LoadedModel, default_algorithm

__all__ = ["LoadedModel", "default_algorithm", "embedded_model", "load_model"]
