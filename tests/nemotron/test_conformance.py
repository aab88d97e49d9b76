"""The engine's algorithms keep the contract, by the models' own code and by ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from llada_core.testing import suites_of
from tests.nemotron.tiny_models import write_model
from tests.support.contract import LONG, held, held_by_all

pytestmark = pytest.mark.alone


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, "labs"))
    found = held_by_all("llada-nemotron", folder, trust_remote_code=True, gen_length=12)
    assert [subject for subject, _ in found] == [
        "llada-nemotron",
        "nemotron",
        "nemotron",
        "nemotron_ar",
        "nemotron_block",
        "nemotron_linear_spec",
    ]
    assert all("a batch is its rows alone" in passed for _, passed in found[2:])


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, "labs"))
    passed = held("nemotron_linear_spec", folder, but=LONG, trust_remote_code=True, gen_length=12)
    assert "a batch is its rows alone" in passed


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
