"""An engine for a model of its own: an example that needs no runtime, and no transformers either."""

from __future__ import annotations

__version__ = "0.2.0"

__all__ = ["__version__"]
