"""The engine's algorithms keep the contract, by the models' own code and by ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import Outcome, suites_of
from tests.nemotron.tiny_models import write_model


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, "labs"))
    suites = list(suites_of("llada-nemotron", model=folder, trust_remote_code=True))
    names = [
        "llada-nemotron",
        "nemotron",
        "nemotron",
        "nemotron_ar",
        "nemotron_block",
        "nemotron_linear_spec",
    ]
    assert [each.subject for each in suites] == names
    for suite in suites:
        outcomes = list(suite.outcomes())
        assert [each for each in outcomes if each.status == "failed"] == []
        held = {each.check for each in outcomes if each.status == "passed"}
        assert suite.kind != "algorithm" or "a batch is its rows alone" in held


@pytest.mark.parametrize(
    "name",
    [
        "nemotron_linear_spec",
        pytest.param("nemotron_block", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
def test_an_algorithm_decodes_as_the_contract_says(name: str, tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, "labs"))
    *_, suite = suites_of(name, model=folder, trust_remote_code=True)
    outcomes = {
        check[0]: Outcome.of(check) for check in suite.checks if not check[0].startswith("each parameter")
    }
    assert [each for each in outcomes.values() if each.status == "failed"] == []
    assert outcomes["a batch is its rows alone"].status == "passed"


def test_without_a_model_of_the_family_nothing_is_said_to_have_passed() -> None:
    *_, suite = suites_of("nemotron_block")
    outcomes = {each.check: each for each in suite.outcomes()}
    assert outcomes["each alias stands for its parameter"].status == "passed"
    loading = outcomes["it loads its model"]
    assert loading.status == "not run"
    assert "the engine nemotron does not take" in str(loading.reason)
    assert str(loading.reason).endswith("give a model (--model)")
    for check in ("it generates", "a batch is its rows alone", "lm.algorithms() agrees with what runs"):
        assert outcomes[check].status == "not run"
        assert "see why at 'it loads its model'" in str(outcomes[check].reason)
