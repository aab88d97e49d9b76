"""How code that is named but not imported yet is reached: ``"module:attr"`` strings, modules and names that
are imported when they are first used. The one place where that happens."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, NamespaceLoader
from types import ModuleType
from typing import Any

__all__ = ["LazyModule", "lazy_exports", "load_target", "missing_module"]


def load_target(target: str) -> Any:
    """The object that ``"module:attr"`` names, with its module imported.

    Raises what the module raises on import, or ``AttributeError`` where it has no such attribute.
    """
    module, _, attribute = target.partition(":")
    return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))


def missing_module(target: str) -> str | None:
    """The first module on the way to ``"module:attr"`` that is not there, by its dotted name, or None.

    Imports nothing. None too where only an import can tell.
    """
    names = target.partition(":")[0].split(".")
    parent: ModuleSpec | None = None
    for count in range(1, len(names) + 1):
        name = ".".join(names[:count])
        try:
            spec = _spec_of(name, parent)
        except Exception:  # a finder of somebody else may raise anything, and so do nested namespaces
            return None
        if spec is None:
            return None if parent is not None and _arranges_modules(parent) else name
        parent = spec
    return name if parent is not None and _is_bare_folder(parent) else None


def _spec_of(name: str, parent: ModuleSpec | None) -> ModuleSpec | None:
    """Where an import of the module would find it, or None. Raises ``ValueError`` where that is not known."""
    if name in sys.modules:
        module: ModuleType | None = sys.modules[name]
        if module is not None and module.__spec__ is None:
            raise ValueError(f"{name} was put into sys.modules by hand")
        return None if module is None else module.__spec__
    path = None if parent is None else _path_of(parent)
    if parent is not None and path is None:
        return None  # a module that is no package has no modules
    specs = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in specs if spec is not None), None)


def _path_of(package: ModuleSpec) -> Sequence[str] | None:
    """Where the package's modules are looked for; one that is imported may have changed that."""
    path: Sequence[str] | None = package.submodule_search_locations
    return getattr(sys.modules.get(package.name), "__path__", path)


def _arranges_modules(package: ModuleSpec) -> bool:
    """Whether the package may have modules that only its own code knows of, once that has run."""
    if _is_bare_folder(package):
        return False
    try:
        source = package.loader.get_source(package.name)  # type: ignore[union-attr]
    except Exception:  # no source, or a loader that has none
        source = None
    return source is None or any(word in source for word in ("__path__", "sys.modules", "meta_path"))


def _is_bare_folder(spec: ModuleSpec) -> bool:
    """Whether it is a folder without ``__init__.py``, as an uninstall leaves it behind: it has no names."""
    return spec.submodule_search_locations is not None and (
        spec.loader is None or isinstance(spec.loader, NamespaceLoader)
    )


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
