"""The package's table of contents."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llada_runtime

PUBLIC = [
    "Around", "BestFirst", "BlockCache", "Canvases", "CheckpointError", "DualCache", "Experts", "Factor",
    "Filters", "KVCache", "LLaDAConfig", "LLaDAModel", "Loop", "MemoryEstimate", "Network", "NoCache",
    "NumericalError", "Plan", "Policy", "PrefixCache", "Proposed", "Quota", "Ranked", "Reading",
    "RemoteNetwork", "Rotary", "Rule", "Sequence", "Shape", "Standing", "StepAlgorithm", "Threshold",
    "Transformer", "UnsupportedArchitecture", "drain", "estimate", "estimate_of", "kept_first", "policy_of",
    "probability", "quotas", "rules_of",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert llada_runtime.__all__ == PUBLIC
    assert all(getattr(llada_runtime, name) is not None for name in PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        llada_runtime.Nothing  # noqa: B018


def test_importing_the_package_or_its_memory_estimates_needs_no_torch() -> None:
    program = "import sys, llada_runtime; llada_runtime.estimate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
