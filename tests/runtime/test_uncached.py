"""A network that caches nothing: what runs there by its default parameters, by others, or not at all."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from llada_core import AlgorithmUnavailable, Parameter, ParameterError, standard
from llada_runtime import DualCache, NoCache, Policy, Rule, StepAlgorithm, Threshold
from llada_runtime.testing import FakeNetwork

LENGTHS = (standard("gen_length", default=6), standard("block_length", default=3))
PROMPT = torch.tensor([[4, 5]])


class Decoder(StepAlgorithm):
    name = "decoder"
    engine = "any"
    parameters = LENGTHS
    caches: ClassVar[dict[str, Any]] = {}

    def policy(self, params: Any) -> Policy:
        wanted = {name: params[name] for name in self.caches}
        return DualCache() if wanted == self.caches else NoCache()

    def rule(self, params: Any) -> Rule:
        return Threshold(0.9)


class ByChoice(Decoder):
    parameters = (*LENGTHS, Parameter(name="kept", kind=str, default="all", choices=("all", "nothing")))
    caches: ClassVar = {"kept": "all"}


class ByFlag(Decoder):
    parameters = (*LENGTHS, Parameter(name="keep", kind=bool, default=True))
    caches: ClassVar = {"keep": True}


class ByExample(Decoder):
    parameters = (*LENGTHS, Parameter(name="kept", kind=str, default="all", examples=("nothing",)))
    caches: ClassVar = {"kept": "all"}


class ByNumber(Decoder):
    parameters = (*LENGTHS, Parameter(name="columns", kind=int, default=0))
    caches: ClassVar = {"columns": 8}


class ByNone(Decoder):
    parameters = (*LENGTHS, Parameter(name="kept", kind=int, default=4, nullable=True))
    caches: ClassVar = {"kept": 4}


@pytest.fixture
def uncached() -> FakeNetwork:
    network = FakeNetwork.random()
    network.caches = False
    return network


by_parameter = pytest.mark.parametrize(
    ("kind", "name", "caches", "runs"),
    [
        (ByChoice, "kept", "all", "nothing"),
        (ByFlag, "keep", True, False),
        (ByExample, "kept", "all", "nothing"),
        (ByNumber, "columns", 8, 0),
        (ByNone, "kept", 4, None),
    ],
)


@by_parameter
def test_it_runs_by_the_parameter_that_caches_nothing(
    uncached: FakeNetwork, kind: type[Decoder], name: str, caches: Any, runs: Any
) -> None:
    algorithm: Any = kind()
    there = algorithm.generate(FakeNetwork.random(), PROMPT, **{name: runs})
    here = algorithm.generate(uncached, PROMPT, **{name: runs})
    assert (here[0].tolist(), here[1]) == (there[0].tolist(), there[1])


@by_parameter
def test_what_caches_is_refused_by_the_parameter_and_the_value_to_give(
    uncached: FakeNetwork, kind: type[Decoder], name: str, caches: Any, runs: Any
) -> None:
    told = f"^{name}={caches!r} caches, .* cannot be cached; give {name}={runs!r}"
    with pytest.raises(ParameterError, match=told) as caught:
        kind().generate(uncached, PROMPT, **{name: caches})
    assert (caught.value.parameter, caught.value.value) == (name, caches)


@by_parameter
def test_it_tells_what_has_to_be_given_there_and_nothing_elsewhere(
    uncached: FakeNetwork, kind: type[Decoder], name: str, caches: Any, runs: Any
) -> None:
    algorithm: Any = kind()
    by_default = algorithm.get_required_args()[name] == runs
    assert algorithm.parameters_on(uncached) == ({} if by_default else {name: runs})
    assert algorithm.unfit_reason(uncached) is None
    assert algorithm.parameters_on(FakeNetwork.random()) == {}


def test_what_caches_by_all_parameters_cannot_run(uncached: FakeNetwork) -> None:
    algorithm: Any = Decoder()  # wants nothing, and so always caches
    assert algorithm.parameters_on(uncached) == {}
    with pytest.raises(AlgorithmUnavailable, match="cannot be cached; take an algorithm that does not"):
        algorithm.generate(uncached, PROMPT)
