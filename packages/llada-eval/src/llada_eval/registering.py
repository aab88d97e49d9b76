"""How lm-eval comes to know the model ``llada`` and our tasks, where it does not look for entry points."""

from __future__ import annotations

from pathlib import Path

import lm_eval.models  # noqa: F401  it registers lm-eval's own models when it is imported
from lm_eval.api.registry import model_registry

__all__ = ["MODEL", "TASKS", "register"]

MODEL = "llada"
"""What ``--model`` calls it."""
TASKS = Path(__file__).parent / "tasks"
"""The folder of our tasks, as ``--include_path`` and ``TaskManager(include_path=…)`` take it."""

_TARGET = "llada_eval.model:LladaLM"


def register() -> None:
    """Let lm-eval find the model ``llada``; it is imported when it is asked for. Once is enough, and more do
    no harm."""
    if MODEL not in model_registry:
        model_registry.register(MODEL, target=_TARGET)
