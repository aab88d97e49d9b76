"""One tiny model for all tests that do not change it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from tests.diffusiongemma.published import Published
from tests.diffusiongemma.tiny_models import write_model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder on one worker: what is imported and loaded for them takes longer than they do."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("diffusiongemma"))


@pytest.fixture(scope="session", autouse=True)
def torchs_compiler() -> None:
    """Imported by the class at its first canvas, and some of it warns of other parts of torch."""
    with warnings.catch_warnings(action="ignore"):
        torch.compiler.cudagraph_mark_step_begin()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("diffusion_gemma"))


@pytest.fixture(scope="session")
def lm(folder: Path) -> Any:
    """The model as llada loads it."""
    return llada_core.load_model(str(folder), device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def published(folder: Path) -> Published:
    """The same checkpoint as transformers loads and decodes it."""
    return Published(folder)
