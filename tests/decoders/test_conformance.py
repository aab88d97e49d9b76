"""The decoders keep the contract of plugins."""

from __future__ import annotations

import pytest

import llada_core
from llada_decoders.plugin import ALGORITHMS
from llada_runtime.testing import small_llada
from tests.support.contract import LONG, held, held_by_all

pytestmark = pytest.mark.alone

MIXES = "its rows do not depend on other algorithms"  # which test_mixed.py shows of all at once
NAMES = [spec.name for spec in ALGORITHMS]


def test_a_decoder_keeps_its_contract() -> None:
    model = small_llada(scale=0.4, max_sequence_length=256)
    passed = held("eb_sampler", model, but=(*LONG, MIXES), gen_length=12)
    assert "a batch is its rows alone" in passed
    assert "its rule works on any device" in passed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_distribution_keeps_the_contract_with_all_that_it_brings() -> None:
    found = held_by_all("llada-decoders", None, gen_length=16)
    assert [subject for subject, _ in found] == ["llada-decoders", *sorted(NAMES)]
    wanted = {
        "each parameter changes something, or is declared neutral", "a batch is its rows alone"
    }  # fmt: skip
    assert all(wanted <= passed for _, passed in found[1:])


def test_they_are_algorithms_of_an_engine_of_another_distribution() -> None:
    infos = [llada_core.get_algorithm_info(name) for name in NAMES]
    assert {(info.engine, info.distribution, info.reason) for info in infos} == {
        ("fast-dllm", "llada-decoders", None)
    }
