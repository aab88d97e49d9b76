"""Which engine takes a model, told from its ``config.json`` alone."""

from __future__ import annotations

from llada_core.detection.detection import (
    Candidate,
    Detection,
    EngineSkipped,
    detect,
    detect_config,
    detect_engine,
    engine_by_own_code,
    engine_for,
    is_named,
)

__all__ = [
    "Candidate",
    "Detection",
    "EngineSkipped",
    "detect",
    "detect_config",
    "detect_engine",
    "engine_by_own_code",
    "engine_for",
    "is_named",
]
