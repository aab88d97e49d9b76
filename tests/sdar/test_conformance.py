"""The engine and its algorithms keep the contract, on a dense model and on one of experts."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import Outcome, suites_of
from tests.sdar.tiny_models import Variant, write_model

ALGORITHMS = ["sdar", "sdar_lmdeploy", "sdar_low_confidence"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(
    tmp_path: Path, variant: Variant
) -> None:
    suites = list(suites_of("llada-sdar", model=str(write_model(tmp_path, variant))))
    assert [each.subject for each in suites] == ["llada-sdar", "sdar", *ALGORITHMS]
    for suite in suites:
        outcomes = list(suite.outcomes())
        assert [each for each in outcomes if each.status == "failed"] == []
        held = {each.check for each in outcomes if each.status == "passed"}
        assert suite.kind != "algorithm" or "a batch is its rows alone" in held


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    *_, suite = suites_of("sdar_low_confidence", model=str(write_model(tmp_path)))
    quick = [check for check in suite.checks if not check[0].startswith(("each parameter", "it comes to an"))]
    outcomes = {check[0]: Outcome.of(check) for check in quick}
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    assert outcomes["a batch is its rows alone"].status == "passed"
