"""What holds for every test: no network, and those marked ``gpu`` are skipped where torch sees no GPU."""

from __future__ import annotations

import gc
import importlib.util
import os
import tempfile

import pytest
from hypothesis import settings

from llada_core.faults import INTERRUPTS
from tests.support.dispositions import ending_signals
from tests.support.program import llada
from tests.support.threads import two_threads

__all__ = ["ending_signals", "llada", "two_threads"]

# How long an example takes depends on what else the machine does; the time limit of the test is enough.
settings.register_profile("llada", deadline=None)
settings.load_profile("llada")

# A test that fails, runs into its limit or is abandoned inside a guard is nobody else's fault.
INTERRUPTS |= {"_pytest.outcomes.Failed", "hypothesis.errors.StopTest"}

# Read when huggingface_hub and transformers are imported: tests reach no network and leave nothing behind.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="llada-tests-")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") == "loadgroup":  # an option of pytest-xdist
        config.pluginmanager.import_plugin("tests.support.scheduling")


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests and what they import live to the end: no collection looks at them again


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
