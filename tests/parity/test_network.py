"""The network against logits recorded from the upstream implementation."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from tests.parity.parity_data import GOLDENS, MODELS, golden_model
from tests.support.logits import TOLERANCE, check_cached


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["plain", "masked"])
def test_full_forward_equals_upstream(name: str, call: str) -> None:
    golden = load_file(GOLDENS / "logits" / f"{name}.safetensors")
    logits = golden_model(name)(golden[f"{call}_input_ids"])
    assert (logits - golden[f"{call}_logits"]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", ["dual_block", "suffix"])
def test_cached_forward_equals_upstream(name: str, call: str) -> None:
    golden = load_file(GOLDENS / "logits" / f"{name}.safetensors")
    check_cached(golden_model(name), golden, call)
