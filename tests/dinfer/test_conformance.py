"""The engine's algorithms keep the contract, whatever they cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llada_core.testing import Outcome, check_algorithm, suites_of
from llada_core.testing.suites import algorithm_suites
from llada_runtime import LLaDAModel
from llada_runtime.testing import small_llada, write_llada

CACHES: list[dict[str, Any]] = [
    {"cache": "none"},
    {"cache": "dual", "cache_update_freq": 2},
    {"prefix_look": 4, "after_look": 4, "warmup_steps": 2},
    {"cont_weight": 0.3},
]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


def test_an_algorithm_decodes_as_the_contract_says(model: LLaDAModel) -> None:
    """All checks but of what each parameter does: these take as long as the others together."""
    *_, suite = algorithm_suites("dinfer_blockwise", model=model)
    checks = [check for check in suite.checks if not check[0].startswith("each parameter")]
    outcomes = {check[0]: Outcome.of(check) for check in checks}
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    assert outcomes["a batch is its rows alone"].status == "passed"
    assert outcomes["its rule works on any device"].status == "passed"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "params"),
    [
        *((name, {}) for name in ("dinfer_blockwise", "dinfer_hierarchy", "dinfer_credit")),
        *(("dinfer_hierarchy", cache) for cache in CACHES),
    ],
)
def test_an_algorithm_keeps_its_contract(name: str, params: dict[str, Any], model: LLaDAModel) -> None:
    held = check_algorithm(name, model=model, **params)
    assert "a batch is its rows alone" in held
    assert "its rule works on any device" in held
    assert "each parameter changes something, or is declared neutral" in held


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_on_the_small_model() -> None:
    outcomes = [each for suite in suites_of("llada-dinfer") for each in suite.outcomes()]
    assert [each for each in outcomes if each.status == "failed"] == []
    assert sum(each.status == "passed" for each in outcomes) > 120


def test_the_distribution_and_its_engine_keep_the_contract(tmp_path: Path) -> None:
    folder = str(write_llada(tmp_path, scale=0.4, max_sequence_length=128))
    suites = [each for each in suites_of("llada-dinfer", model=folder) if each.kind != "algorithm"]
    outcomes = [each for suite in suites for each in suite.outcomes()]
    assert [each for each in outcomes if each.status == "failed"] == []
    assert {"passed", "not run"} == {each.status for each in outcomes}
