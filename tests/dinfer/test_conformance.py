"""The engine's algorithms keep the contract, whatever they cache."""

from __future__ import annotations

from typing import Any

import pytest

from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada
from tests.support.contract import LONG, held, held_by_all, held_by_answers

pytestmark = pytest.mark.alone

CACHES: list[dict[str, Any]] = [
    {"cache": "none"},
    {"cache": "dual", "cache_update_freq": 2},
    {"prefix_look": 4, "after_look": 4, "warmup_steps": 2},
    {"cont_weight": 0.3},
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def test_an_algorithm_keeps_its_contract(model: LLaDAModel) -> None:
    passed = held("dinfer_blockwise", model, but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
    assert "its rule works on any device" in passed


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "params"),
    [
        *((name, {}) for name in ("dinfer_hierarchy", "dinfer_credit")),
        *(("dinfer_hierarchy", cache) for cache in CACHES),
    ],
)
def test_answers_keep_the_contract_whatever_is_cached(
    name: str, params: dict[str, Any], model: LLaDAModel
) -> None:
    assert "a batch is its rows alone" in held_by_answers(name, model, gen_length=16, **params)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_on_the_small_model() -> None:
    found = held_by_all("llada-dinfer", None, gen_length=16)
    assert sum(len(passed) for _, passed in found) > 120
    acting = {"each parameter changes something, or is declared neutral", "a batch is its rows alone"}
    assert [acting <= passed for _, passed in found[2:]] == [True] * 3
