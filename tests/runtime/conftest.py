"""A small checkpoint and its model, and one whose steps are captured, for all tests of the runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_runtime import LLaDAModel
from llada_runtime.network import flash
from llada_runtime.network.calls import Merge
from llada_runtime.testing import small_llada, write_llada
from tests.runtime.packing import loop_of_rows
from tests.support.graphing import AsCaptured, FakeGraphs, small


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """``write_checkpoint(config={…}, weights={…})``: a folder with a checkpoint, fields changed as given."""

    def write(config: dict[str, Any] | None = None, weights: dict[str, Any] | None = None) -> Path:
        return write_llada(tmp_path, weights=weights, **(config or {}))

    return write


@pytest.fixture
def model() -> LLaDAModel:
    return small_llada()


@pytest.fixture
def ragged(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: all rows attend in one call, so that where they lie is no part of a key."""
    monkeypatch.setattr(flash, "attend", loop_of_rows)


@pytest.fixture
def plain() -> AsCaptured:
    """A small network whose steps can be captured, of rows in any places."""
    network = small()
    network._merges = Merge.RAGGED
    return network


@pytest.fixture
def graphs() -> FakeGraphs:
    """What captures without a GPU."""
    return FakeGraphs()
