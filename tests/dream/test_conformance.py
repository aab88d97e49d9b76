"""The engine and its algorithms keep the contract of plugins, on a checkpoint with a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dream.dream_data import ALGORITHMS
from tests.dream.tiny import write_model
from tests.support.contract import LONG, held, held_by_all

pytestmark = pytest.mark.alone


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(tmp_path: Path) -> None:
    found = held_by_all("llada-dream", str(write_model(tmp_path)), gen_length=12)
    assert [subject for subject, _ in found] == ["llada-dream", "dream", *sorted(ALGORITHMS)]
    assert all("a batch is its rows alone" in passed for _, passed in found[2:])


def test_an_algorithm_decodes_as_the_contract_says(tmp_path: Path) -> None:
    passed = held("dream_dual_cache", str(write_model(tmp_path)), but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
