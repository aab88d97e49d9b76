"""The engine and its algorithm keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.contract import LONG, held, held_by_all

pytestmark = pytest.mark.alone

SLOW = (*LONG, "the same seed", "another object", "a stream that is closed")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings(folder: Path) -> None:
    found = held_by_all("llada-diffusiongemma", str(folder), gen_length=9)
    subjects = ["llada-diffusiongemma", "diffusion_gemma", "diffusion_gemma"]
    assert [subject for subject, _ in found] == subjects
    assert {
        "a batch is its rows alone",
        "each parameter changes something, or is declared neutral",
        "it ends within a bounded number of forwards",
    } <= found[-1][1]


def test_the_algorithm_decodes_as_the_contract_says(folder: Path) -> None:
    passed = held("diffusion_gemma", str(folder), but=SLOW, gen_length=9)
    assert {
        "a batch is its rows alone",
        "the same request twice has the same answer",
        "padding is neutral",
    } <= passed
