"""Checks of a step algorithm, from those of its rule and its policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Ids
from typing import Any, Protocol

from llada_core.parameters import Parameter
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.testing.networks import FakeNetwork
from llada_runtime.testing.policies import policy_checks
from llada_runtime.testing.rules import rule_checks

__all__ = ["algorithm_checks"]


class Algorithm(Protocol):
    """What is asked of a `StepAlgorithm` here."""

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    def filters(self, params: Mapping[str, Any]) -> Filters | None: ...
    def unfit_reason(self, model: Any) -> str | None: ...
    def validate_args(self, **params: Any) -> dict[str, object]: ...
    def sequence(self, model: Any, prompt_ids: Ids[int], params: Mapping[str, Any]) -> Any: ...


def algorithm_checks(algorithm: Algorithm) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of the rule and the policy that ``algorithm`` gives its sequences by default.

    None where it runs on networks of its own only, and so not on a fake one.
    """
    network = FakeNetwork.random()
    if algorithm.unfit_reason(network) is not None:
        return
    takes = algorithm.validate_args().keys()

    def make(network: Any, prompt: Ids[int], gen_length: int, block_length: int = 4) -> Sequence:
        asked = {"gen_length": gen_length, "block_length": block_length, "early_stop": False}
        params = algorithm.validate_args(**{name: asked[name] for name in asked.keys() & takes})
        made = algorithm.sequence(network, prompt, params)
        assert isinstance(made, Sequence), f"sequence returns a {type(made).__name__}; return a Sequence"
        return made

    yield "its sequence has the filters that it takes", lambda: _filters_as_told(algorithm, network)
    yield from rule_checks(lambda width: make(network, [1, 2], width, width))
    yield from policy_checks(make)


def _filters_as_told(algorithm: Algorithm, network: FakeNetwork) -> None:
    """What it takes of ``top_p``, ``top_k`` and ``min_p`` must reach a sequence that it makes itself, too."""
    asked: dict[str, Any] = {"gen_length": 4, "temperature": 0.5, "top_p": 0.5, "top_k": 2, "min_p": 0.25}
    given = {
        each.name: asked[each.name]
        for each in algorithm.parameters
        if each.name in asked and each.accepts(asked[each.name])
    }
    params = algorithm.validate_args(**given)
    found, wanted = algorithm.sequence(network, [1, 2], params).filters, algorithm.filters(params)
    assert found == wanted, (
        f"for {given} its sequence has filters={found!r}; make it with filters=self.filters(params), which "
        f"is {wanted!r}"
    )
