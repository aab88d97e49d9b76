"""The engine and its algorithms keep the contract, on a dense model and on one of experts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdar.tiny_models import write_model
from tests.support.contract import LONG, held, held_by_all, held_by_answers

pytestmark = pytest.mark.alone

ALGORITHMS = ["sdar", "sdar_lmdeploy", "sdar_low_confidence"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    found = held_by_all("llada-sdar", str(write_model(tmp_path)), gen_length=12)
    assert [subject for subject, _ in found] == ["llada-sdar", "sdar", *ALGORITHMS]
    assert all("a batch is its rows alone" in passed for _, passed in found[2:])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_keeps_it_on_layers_of_experts(tmp_path: Path) -> None:
    """What its parameters do on a fake network is shown above."""
    passed = held_by_answers("sdar", str(write_model(tmp_path, "moe")), gen_length=12)
    assert "a batch is its rows alone" in passed


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    passed = held("sdar_low_confidence", str(write_model(tmp_path)), but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
