"""The one place where ``"module:attr"`` strings become objects, and their modules are imported."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

__all__ = ["load_target", "target_is_findable"]


def load_target(target: str) -> Any:
    """The object that ``"module:attr"`` names, with its module imported.

    Raises what the module raises on import, or ``AttributeError`` where it has no such attribute.
    """
    module, _, attribute = target.partition(":")
    return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))


def target_is_findable(target: str) -> bool:
    """Whether the top-level package of ``"module:attr"`` is on the path. Imports nothing."""
    package = target.partition(":")[0].partition(".")[0]
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # imported already, by something that gave it no __spec__
        return True
