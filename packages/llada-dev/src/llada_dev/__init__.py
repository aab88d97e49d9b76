"""For people who write decoders: a plugin from a template, and proof that a model decodes as it should."""

from __future__ import annotations

__version__ = "0.2.0"

__all__ = ["__version__"]
