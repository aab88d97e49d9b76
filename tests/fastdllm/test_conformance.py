"""The engine's algorithms keep the contract, whatever their rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llada_core.testing import suites_of
from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada, write_llada
from tests.support.contract import LONG, held, held_by_all, held_by_answers

pytestmark = pytest.mark.alone

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


def test_an_algorithm_keeps_its_contract(model: LLaDAModel) -> None:
    passed = held("dual_cache", model, but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
    assert "its rule works on any device" in passed


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "params"),
    [*((name, {}) for name in ("basic", "prefix_cache")), *(("dual_cache", rule) for rule in RULES)],
)
def test_answers_keep_the_contract_whatever_the_rule(
    name: str, params: dict[str, Any], model: LLaDAModel
) -> None:
    assert "a batch is its rows alone" in held_by_answers(name, model, gen_length=16, **params)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_on_the_small_model() -> None:
    found = held_by_all("llada-fastdllm", None, gen_length=16)
    assert sum(len(passed) for _, passed in found) > 120
    acting = {"each parameter changes something, or is declared neutral", "a batch is its rows alone"}
    assert [acting <= passed for _, passed in found[2:]] == [True] * 3


def test_the_distribution_and_its_engine_keep_the_contract(tmp_path: Path) -> None:
    folder = str(write_llada(tmp_path, scale=0.4, max_sequence_length=128))
    suites = [each for each in suites_of("llada-fastdllm", model=folder) if each.kind != "algorithm"]
    outcomes = [each for suite in suites for each in suite.outcomes()]
    assert [each for each in outcomes if each.status == "failed"] == []
    assert {"passed", "not run"} == {each.status for each in outcomes}
