"""The engine's algorithms keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import Outcome, suites_of
from tests.llada2.random_rows import NAMES
from tests.llada2.tiny_models import write_model


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, seed=2))
    suites = list(suites_of("llada-llada2", model=folder))
    assert [each.subject for each in suites] == ["llada-llada2", "llada2", *NAMES]
    for suite in suites:
        outcomes = list(suite.outcomes())
        assert [each for each in outcomes if each.status == "failed"] == []
        held = {each.check for each in outcomes if each.status == "passed"}
        assert suite.kind != "algorithm" or "a batch is its rows alone" in held


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, seed=2))
    *_, suite = suites_of("llada2_low_confidence", model=folder)
    outcomes = {
        check[0]: Outcome.of(check) for check in suite.checks if not check[0].startswith("each parameter")
    }
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    assert outcomes["a batch is its rows alone"].status == "passed"
