"""How code that is named but not imported yet is reached: ``"module:attr"`` strings, modules and names that
are imported when they are first used. The one place where that happens."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

__all__ = ["LazyModule", "lazy_exports", "load_target", "target_is_findable"]


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


class LazyModule(ModuleType):
    """Stands for the module of this name until one of its attributes is asked for, and imports it then."""

    def __getattr__(self, attribute: str) -> Any:
        # Python asks for dunders to learn what an object is (inspect, doctest): that must not import torch.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self.__name__), attribute)


def lazy_exports(
    package: str, homes: Mapping[str, str], *, renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` (PEP 562) for a package that imports names when they are first used.

    ``homes`` maps each name to the module that defines it. ``renamed`` maps names of earlier releases to what
    to write today, which the ``AttributeError`` then says.
    """
    former = renamed or {}

    def get(name: str) -> Any:
        if name in former:
            raise AttributeError(f"{package}.{name} is {former[name]} now; write that")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = load_target(f"{homes[name]}:{name}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
