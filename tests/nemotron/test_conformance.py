"""The engine's algorithms keep the contract, by the models' own code and by ours."""

from __future__ import annotations

from pathlib import Path

import pytest

import llada_core
from llada_core.testing import check_algorithm
from tests.nemotron.tiny_models import write_model


@pytest.mark.parametrize("name", ["nemotron", "nemotron_ar", "nemotron_linear_spec", "nemotron_block"])
def test_an_algorithm_keeps_its_contract(name: str, tmp_path: Path) -> None:
    with llada_core.load_model(write_model(tmp_path, "labs"), device="cpu", trust_remote_code=True) as lm:
        held = check_algorithm(name, model=lm.model.network)
    assert "a batch is its rows alone" in held
