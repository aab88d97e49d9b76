"""What figures depend on beside what was measured: the machine, and the versions of what ran on it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Any

from llada_core.imports import load_target
from llada_core.loading import LoadedModel
from llada_core.machine import processor
from llada_core.plugins.installed import Installed

__all__ = ["surroundings"]

_PACKAGES = ("llada-core", "llada-runtime", "torch")


def surroundings(lm: LoadedModel, distributions: Iterable[str] = ()) -> dict[str, Any]:
    """The model with its dtype, the processor and the device with their names, and versions: of Python, of
    torch, of ours, and of the ``distributions`` whose algorithms are measured."""
    installed = Installed()
    found = {name: installed.find(name) for name in dict.fromkeys((*_PACKAGES, *distributions))}
    return {
        "model": lm.model.path,
        "engine": lm.engine.name,
        **load_target("llada_core.bench.devices:place_of")(lm.model.network),
        "processor": processor(),
        "python": platform.python_version(),
        "packages": {name: package.version for name, package in found.items() if package is not None},
    }
