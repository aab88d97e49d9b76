"""What holds for every test: those marked ``gpu`` are skipped, saying so, where torch sees no GPU."""

from __future__ import annotations

import importlib.util
import os
import tempfile

import pytest

# Read when huggingface_hub and transformers are imported: tests reach no network and leave nothing behind.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="llada-tests-")


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
