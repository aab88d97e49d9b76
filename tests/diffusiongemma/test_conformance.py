"""The engine and its algorithm keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import Outcome, suites_of

SLOW = ("each parameter", "neutral values", "the same seed", "another object", "a stream that is closed")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(folder: Path) -> None:
    suites = list(suites_of("llada-diffusiongemma", model=str(folder)))
    assert [each.subject for each in suites] == ["llada-diffusiongemma", "diffusion_gemma", "diffusion_gemma"]
    for suite in suites:
        outcomes = list(suite.outcomes())
        assert [each for each in outcomes if each.status == "failed"] == []
        held = {each.check for each in outcomes if each.status == "passed"}
        assert (
            suite.kind != "algorithm"
            or {
                "a batch is its rows alone",
                "each parameter changes something, or is declared neutral",
                "it ends within a bounded number of forwards",
            }
            <= held
        )


def test_the_algorithm_decodes_as_the_contract_says(folder: Path) -> None:
    *_, suite = suites_of("diffusion_gemma", model=str(folder))
    outcomes = {each[0]: Outcome.of(each) for each in suite.checks if not each[0].startswith(SLOW)}
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    for check in (
        "a batch is its rows alone",
        "the same request twice has the same answer",
        "padding is neutral",
    ):
        assert outcomes[check].status == "passed"
