"""Checkpoints that wheels hold: each is called as its wheel is.

Which wheels do, and what tells the folder of each, is data: ``embedded.json`` beside this file.
"""

from __future__ import annotations

import functools
import json
import os
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from llada_core.errors import ModelNotFound
from llada_core.imports import load_target

__all__ = ["embedded_folder", "embedded_names"]


def embedded_names() -> tuple[str, ...]:
    """The names of all checkpoints that wheels hold, whatever is installed."""
    return tuple(_targets())


def embedded_folder(name: str) -> Path | None:
    """The folder of the checkpoint in the wheel ``name``; None where no wheel of that name holds one.

    Raises ``ModelNotFound`` where it is not installed.
    """
    target = _targets().get(name)
    if target is None:
        return None
    try:
        return Path(os.fspath(load_target(target)()))
    except ImportError as exc:
        raise ModelNotFound(f"the model {name} is not installed; pip install {name}", path=name) from exc


@functools.cache
def _targets() -> Mapping[str, str]:
    text = pkgutil.get_data("llada_core.checkpoints", "embedded.json")
    assert text is not None, "the wheel of llada-core holds it"
    targets: dict[str, str] = json.loads(text)
    return targets
