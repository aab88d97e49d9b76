"""The engine's algorithms keep the contract, whatever their rule."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core.testing import check_algorithm
from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada

RULES: list[dict[str, Any]] = [
    {"threshold": None, "steps": 8},
    {"factor": 1.0},
    {"temperature": 0.8, "seed": 3},
    {"remasking": "random", "seed": 3},
    {"early_stop": False, "block_length": 7},
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("basic", {}),
        ("prefix_cache", {}),
        ("dual_cache", {}),
        *(pytest.param("dual_cache", rule, marks=pytest.mark.slow) for rule in RULES),
    ],
)
def test_an_algorithm_keeps_its_contract(name: str, params: dict[str, Any], model: LLaDAModel) -> None:
    held = check_algorithm(name, model=model, **params)
    assert "a batch is its rows alone" in held
    assert "its rule works on any device" in held
