"""The engine's algorithms keep the contract, whatever they cache."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core.testing import check_algorithm
from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada

CACHES: list[dict[str, Any]] = [
    {"cache": "none"},
    {"cache": "dual", "cache_update_freq": 2},
    {"prefix_look": 4, "after_look": 4, "warmup_steps": 2},
    {"cont_weight": 0.3},
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("dinfer_blockwise", {}),
        ("dinfer_hierarchy", {}),
        ("dinfer_credit", {}),
        *(pytest.param("dinfer_hierarchy", cache, marks=pytest.mark.slow) for cache in CACHES),
    ],
)
def test_an_algorithm_keeps_its_contract(name: str, params: dict[str, Any], model: LLaDAModel) -> None:
    held = check_algorithm(name, model=model, **params)
    assert "a batch is its rows alone" in held
    assert "its rule works on any device" in held
