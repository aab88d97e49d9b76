"""The engine and its algorithms keep the contract of plugins, on a checkpoint with a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import Outcome, suites_of
from tests.dream.dream_data import ALGORITHMS
from tests.dream.tiny import write_model

_LONG = ("each parameter", "neutral values", "it comes to an end at each")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_keeps_the_whole_contract(name: str, tmp_path: Path) -> None:
    *_, suite = suites_of(name, model=str(write_model(tmp_path)))
    outcomes = [Outcome.of(check) for check in suite.checks]
    assert [each for each in outcomes if each.status == "failed"] == []
    assert [each for each in outcomes if each.status == "not run" and "device" not in each.check] == []


def test_the_engine_keeps_the_contract(tmp_path: Path) -> None:
    suites = list(suites_of("llada-dream", model=str(write_model(tmp_path))))
    assert [each.subject for each in suites] == ["llada-dream", "dream", *sorted(ALGORITHMS)]
    for suite in suites[:2]:
        assert [each for each in suite.outcomes() if each.status == "failed"] == []


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    *_, suite = suites_of("dream_dual_cache", model=str(write_model(tmp_path)))
    quick = [check for check in suite.checks if not check[0].startswith(_LONG)]
    outcomes = {check[0]: Outcome.of(check) for check in quick}
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    assert outcomes["a batch is its rows alone"].status == "passed"
