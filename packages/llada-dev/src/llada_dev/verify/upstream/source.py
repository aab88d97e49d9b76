"""Upstream's modules under the names that they have for each other, which shadow none that are installed.

Both projects call modules by words that others may use too (``model``, ``generate``). They are looked for
behind all that is installed, and what is found instead is refused and not run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from llada_core import UsageError

__all__ = ["Source"]


class Source:
    """The folder of a checkout that holds the code: the first of ``candidates`` that exists.

    Raises ``UsageError`` where none does.
    """

    def __init__(self, checkout: Path, *candidates: str) -> None:
        found = [checkout / name for name in candidates if (checkout / name).is_dir()]
        if not found:
            raise UsageError(
                f"{checkout} holds none of {', '.join(candidates)}; point at a checkout of the repository"
            )
        self.folder = found[0].resolve()
        if str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))

    def module(self, name: str) -> Any:
        """Upstream's module of this name. Raises ``UsageError`` where another has the name, or what it
        imports is not installed."""
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as exc:
            raise UsageError(
                f"{self.folder}: {name} imports {exc.name}, which is not installed; pip install {exc.name}"
            ) from exc
        self._check_own(name, found)
        return found

    def bare(self, *packages: str) -> None:
        """Let packages be imported from without running their ``__init__``, which imports everything.

        Raises ``UsageError`` where one of them is installed: that would be shadowed.
        """
        for name in packages:
            if name in sys.modules:
                self._check_own(name, sys.modules[name])
                continue
            self._check_free(name)
            made = ModuleType(name)
            made.__path__ = [str(self.folder.joinpath(*name.split(".")))]
            sys.modules[name] = made

    def _check_free(self, name: str) -> None:
        spec = importlib.util.find_spec(name)
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or [])]
        for place in places:
            if place is not None and not Path(place).resolve().is_relative_to(self.folder):
                raise UsageError(_taken(name, place, self.folder))

    def _check_own(self, name: str, module: ModuleType) -> None:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
        for place in places:
            if place is not None and not Path(place).resolve().is_relative_to(self.folder):
                raise UsageError(_taken(name, place, self.folder))


def _taken(name: str, place: str, folder: Path) -> str:
    return (
        f"the module {name} of {folder} cannot be imported, as {place} has that name; run in an environment "
        "and a folder without it"
    )
