"""What a model's own code can do wrong, as an error and as a warning."""

from __future__ import annotations

from llada_core import GenerationError

__all__ = ["NativeCodeError", "UnfilledMasks"]


class NativeCodeError(GenerationError):
    """The model's own code failed, or returned what cannot be an answer."""


class UnfilledMasks(UserWarning):
    """The model's own code left masks in an answer; they are taken out of it."""
