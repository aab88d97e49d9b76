"""A decoder that commits tokens by their entropy: an example of a ``StepAlgorithm``."""

from __future__ import annotations

__version__ = "0.2.0"

__all__ = ["__version__"]
