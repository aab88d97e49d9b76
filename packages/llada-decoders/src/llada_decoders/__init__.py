"""Published training-free decoders for LLaDA models, as algorithms of the engine ``fast-dllm``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from llada_core.imports import lazy_exports

__version__ = "0.2.0"

__all__: list[str] = []

__getattr__, __dir__ = lazy_exports(__name__, {})
