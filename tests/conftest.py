"""What holds for every test: those marked ``gpu`` are skipped, saying so, where torch sees no GPU."""

from __future__ import annotations

import importlib.util

import pytest


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if "gpu" in item.keywords]
    if marked and not _has_gpu():
        skip = pytest.mark.skip(reason="needs a CUDA device, and torch sees none")
        for item in marked:
            item.add_marker(skip)
