"""The decoders keep the contract of plugins."""

from __future__ import annotations

import pytest

import llada_core
from llada_core.testing import suites_of
from llada_decoders.plugin import ALGORITHMS
from llada_runtime.testing import small_llada
from tests.support.contract import LONG, held

pytestmark = pytest.mark.alone

NAMES = [spec.name for spec in ALGORITHMS]


def test_a_decoder_keeps_its_contract() -> None:
    passed = held("eb_sampler", small_llada(scale=0.4, max_sequence_length=256), but=LONG, gen_length=12)
    assert "a batch is its rows alone" in passed
    assert "its rule works on any device" in passed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_each_decoder_keeps_its_contract_on_the_small_model(name: str) -> None:
    passed = held(name, None, gen_length=16)
    assert {"each parameter changes something, or is declared neutral", "a batch is its rows alone"} <= passed


def test_the_distribution_keeps_the_contract() -> None:
    suites = list(suites_of("llada-decoders", model=None))
    assert [suite.subject for suite in suites if suite.kind == "algorithm"] == sorted(NAMES)
    outcomes = [each for suite in suites if suite.kind != "algorithm" for each in suite.outcomes()]
    assert [each for each in outcomes if each.status == "failed"] == []
    assert "passed" in {each.status for each in outcomes}


def test_they_are_algorithms_of_an_engine_of_another_distribution() -> None:
    infos = [llada_core.get_algorithm_info(name) for name in NAMES]
    assert {(info.engine, info.distribution, info.reason) for info in infos} == {
        ("fast-dllm", "llada-decoders", None)
    }
