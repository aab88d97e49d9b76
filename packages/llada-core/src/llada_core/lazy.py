"""Modules that are imported when they are first used, because they need torch."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["LazyModule"]


class LazyModule(ModuleType):
    """Stands for the module of this name until one of its attributes is asked for, and imports it then."""

    def __getattr__(self, attribute: str) -> Any:
        # Python asks for dunders to learn what an object is (inspect, doctest): that must not import torch.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(import_module(self.__name__), attribute)
