"""Rows of a step algorithm as checks ask for them: by its defaults, and by other parameters of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Ids
from typing import Any, Protocol

from llada_core.checkpoints.ends import TOKENIZER, EndToken
from llada_core.parameters import Parameter
from llada_core.testing.samples import Setting, bounds_of, setting_with, varied
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.sequence import Sequence

__all__ = ["Algorithm", "Make", "base_of", "make", "makes_of", "of_its_own_ends", "settings_of"]

_BASE: Setting = {"gen_length": 11, "block_length": 4, "seed": 3}
_MOST = 24


class Algorithm(Protocol):
    """What is asked of a `StepAlgorithm` here."""

    model: Any

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def chat_options(self) -> tuple[str, ...]: ...
    @property
    def tried_with(self) -> Mapping[str, Any]: ...
    def tried_beside(self, name: str) -> Mapping[str, Any]: ...
    def filters(self, params: Mapping[str, Any]) -> Filters | None: ...
    def policy(self, params: Mapping[str, Any]) -> Any: ...
    def rule(self, params: Mapping[str, Any]) -> Any: ...
    def unfit_reason(self, model: Any) -> str | None: ...
    def validate_args(self, **params: Any) -> dict[str, object]: ...
    def sequence(self, model: Any, prompt_ids: Ids[int], params: Mapping[str, Any]) -> Any: ...


class Make(Protocol):
    """Makes a row of a prompt, with an answer of so many columns."""

    def __call__(
        self, network: Any, prompt: Ids[int], gen_length: int, block_length: int = 4
    ) -> Sequence: ...


def make(
    algorithm: Algorithm,
    own: Setting,
    network: Any,
    prompt: Ids[int],
    gen_length: int,
    block_length: int = 4,
) -> Sequence:
    """A row of ``algorithm`` with these parameters of its ``own``, by as much of the rest as it takes."""
    asked = _asked(gen_length, block_length)
    taken = asked.keys() & algorithm.validate_args().keys()
    params = algorithm.validate_args(**own, **{name: asked[name] for name in taken})
    made = algorithm.sequence(of_its_own_ends(network), prompt, params)
    assert isinstance(made, Sequence), f"sequence returns a {type(made).__name__}; return a Sequence"
    return made


def _asked(gen_length: int, block_length: int) -> Setting:
    return {"gen_length": gen_length, "block_length": block_length, "early_stop": False, "seed": 3}


def makes_of(algorithm: Algorithm) -> list[Make]:
    """``make`` by the defaults, and by each of some values of the parameters that are its own."""
    shape = _asked(4, 4)
    base = {each.name: shape[each.name] for each in algorithm.parameters if each.name in shape}
    own = [each for each in algorithm.parameters if each.name not in algorithm.chat_options]
    found = varied(
        lambda given: algorithm.validate_args(**given), own, base, most=_MOST, beside=algorithm.tried_beside
    )
    return [
        functools.partial(make, algorithm, {name: given[name] for name in given.keys() - base.keys()})
        for given in ({}, *found)
    ]


def of_its_own_ends(network: Any) -> Any:
    """``network``, whose answers end by its config alone: a tokenizer that an algorithm has loaded is of
    another model, and names ids that are none here."""
    if getattr(network, "end_tokens", None) is None:
        ends = network.config.eos_ids
        network.end_tokens = tuple(EndToken(id=end, text=None, sources=(TOKENIZER,)) for end in ends)
    return network


def base_of(algorithm: Algorithm) -> Setting:
    """What is given in every run: a short answer, and a seed, where it takes them, and what it is tried
    with."""
    names = {each.name for each in algorithm.parameters}
    return {name: value for name, value in _BASE.items() if name in names} | dict(algorithm.tried_with)


def settings_of(algorithm: Algorithm) -> Iterator[Setting]:
    """A setting for each default, choice and bound of each parameter, by which ``validate_args`` takes it."""
    declared, base = algorithm.parameters, base_of(algorithm)
    for parameter in declared:
        beside = {**base, **algorithm.tried_beside(parameter.name)}
        for value in bounds_of(parameter):
            taken = setting_with(
                lambda given: algorithm.validate_args(**given), declared, beside, parameter, value
            )
            if taken is not None:
                yield taken
