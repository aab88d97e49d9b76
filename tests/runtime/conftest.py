"""A small checkpoint and its model, for all tests of the runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada, write_llada


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """``write_checkpoint(config={…}, weights={…})``: a folder with a checkpoint, fields changed as given."""

    def write(config: dict[str, Any] | None = None, weights: dict[str, Any] | None = None) -> Path:
        return write_llada(tmp_path, weights=weights, **(config or {}))

    return write


@pytest.fixture
def model() -> LLaDAModel:
    return small_llada()
