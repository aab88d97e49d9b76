"""The engine's algorithms keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.llada2.random_rows import NAMES
from tests.llada2.tiny_models import write_model
from tests.support.contract import LONG, held, held_by_all

pytestmark = pytest.mark.alone


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    found = held_by_all("llada-llada2", str(write_model(tmp_path, seed=2)), gen_length=12)
    assert [subject for subject, _ in found] == ["llada-llada2", "llada2", *NAMES]
    assert all("a batch is its rows alone" in passed for _, passed in found[2:])


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, seed=2))
    passed = held("llada2_low_confidence", folder, but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
