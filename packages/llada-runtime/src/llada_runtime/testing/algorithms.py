"""Checks of a step algorithm, from those of its rule and its policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Ids
from typing import Any, Protocol

from llada_runtime.decoding.sequence import Sequence
from llada_runtime.testing.networks import FakeNetwork
from llada_runtime.testing.policies import policy_checks
from llada_runtime.testing.rules import rule_checks

__all__ = ["algorithm_checks"]


class Algorithm(Protocol):
    """What is asked of a `StepAlgorithm` here."""

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

    yield from rule_checks(lambda width: make(network, [1, 2], width, width))
    yield from policy_checks(make)
