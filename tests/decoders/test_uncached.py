"""Decoders with a parameter ``cache`` on a network that caches nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import llada_core
from llada_core import AlgorithmUnavailable, ParameterError
from llada_runtime.testing import FakeNetwork

pytestmark = pytest.mark.alone

PROMPT = torch.tensor([[4, 5, 6]])
SHORT = {"gen_length": 6, "block_length": 3}


@pytest.fixture
def uncached() -> FakeNetwork:
    network = FakeNetwork.random()
    network.caches = False
    return network


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("compose", {"cache": "none"}),
        ("compose", {"cache": "none", "rule": "klass"}),
        ("compose", {"cache": "guided", "cfg_scale": 0.5, "horizon": "full"}),
        ("compose", {"cache": "none", "schedule": "adaptive", "delimiter_ids": "7"}),
        ("adablock", {"cache": "none", "delimiter_ids": "7"}),
    ],
)
def test_without_a_cache_it_answers_as_everywhere(
    uncached: FakeNetwork, name: str, params: dict[str, Any]
) -> None:
    algorithm = llada_core.get_algorithm(name)
    there = algorithm.generate(FakeNetwork.random(), PROMPT, **SHORT, **params)
    here = algorithm.generate(uncached, PROMPT, **SHORT, **params)
    assert (here[0].tolist(), here[1]) == (there[0].tolist(), there[1])


@pytest.mark.parametrize("name", ["compose", "adablock"])
@pytest.mark.parametrize("cache", ["dual", "prefix"])
def test_a_cache_is_refused_with_the_value_that_runs(uncached: FakeNetwork, name: str, cache: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    told = f"^cache='{cache}' caches, .*; give cache='none'"
    with pytest.raises(ParameterError, match=told):
        algorithm.generate(uncached, PROMPT, cache=cache, **SHORT)
    assert algorithm.unfit_reason(uncached) is None


@pytest.mark.parametrize("name", ["freedave", "streaming"])
def test_one_that_always_caches_is_refused_whatever_is_given(uncached: FakeNetwork, name: str) -> None:
    with pytest.raises(AlgorithmUnavailable, match="cannot be cached; use the algorithm 'basic'"):
        llada_core.get_algorithm(name).generate(uncached, PROMPT, **SHORT)
