"""The modules of the benchmarks, which import each other by names that are not for the tests of others."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

__all__ = ["programs"]

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@contextmanager
def programs(*names: str) -> Iterator[SimpleNamespace]:
    """The modules of these names, each of which may import those before it, as long as the context lasts."""
    loaded = {}
    try:
        for name in names:
            spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
            assert spec
            assert spec.loader
            loaded[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded[name])
        yield SimpleNamespace(**loaded)
    finally:
        for name in loaded:
            del sys.modules[name]
