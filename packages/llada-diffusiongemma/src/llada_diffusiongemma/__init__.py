"""DiffusionGemma as an engine of the llada registry: an adapter over transformers' own class.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .config import GemmaConfig
    from .generation import DiffusionGemmaGeneration
    from .loop import CanvasLoop
    from .row import CanvasRow

__version__ = "0.2.0"

__all__ = ["CanvasLoop", "CanvasRow", "DiffusionGemmaGeneration", "GemmaConfig"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CanvasLoop": "llada_diffusiongemma.loop",
        "CanvasRow": "llada_diffusiongemma.row",
        "DiffusionGemmaGeneration": "llada_diffusiongemma.generation",
        "GemmaConfig": "llada_diffusiongemma.config",
    },
)
