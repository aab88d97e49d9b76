"""A checkpoint in memory, with every algorithm that can run on it."""

from __future__ import annotations

from llada_core.loading.calls import call_on, check_call
from llada_core.loading.convert import Conversion
from llada_core.loading.load import embedded_model, load_dcp, load_model, load_on, named_model
from llada_core.loading.loaded import LoadedModel, default_algorithm
from llada_core.loading.session import Session

__all__ = [
    "Conversion",
    "LoadedModel",
    "Session",
    "call_on",
    "check_call",
    "default_algorithm",
    "embedded_model",
    "load_dcp",
    "load_model",
    "load_on",
    "named_model",
]
