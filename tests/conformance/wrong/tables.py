"""How wrong things are told: by the check that fails, and by what their docstring says is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from llada_core import GenerationAlgorithm, Parameter, standard
from llada_runtime import LLaDAModel, NoCache, StepAlgorithm, Threshold

__all__ = ["WIDTH", "WRONG_ALGORITHMS", "Good", "GoodCall", "Wrong", "name_of", "wrong"]

_Kind = TypeVar("_Kind", bound=type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A wrong algorithm: the ``check`` that finds it, and those that cannot but fail ``also``."""

    kind: Any
    check: str
    also: tuple[str, ...] = ()

    @property
    def fault(self) -> str:
        """What is wrong with it, in a sentence."""
        return (inspect.getdoc(self.kind) or "").partition("\n")[0]


WRONG_ALGORITHMS: dict[str, Wrong] = {}
"""By their names in the registry."""


def name_of(kind: type) -> str:
    """Its name in the registry."""
    name = kind.__name__.removesuffix("Generation")
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).strip("_")


def wrong(check: str, *also: str) -> Callable[[_Kind], _Kind]:
    """Enter a class into the table."""

    def enter(kind: _Kind) -> _Kind:
        WRONG_ALGORITHMS[name_of(kind)] = Wrong(kind=kind, check=check, also=also)
        return kind

    return enter


class Good(StepAlgorithm):
    """A step algorithm with which nothing is wrong."""

    parameters: Any = (standard("gen_length"), standard("block_length"))

    def policy(self, params: Any) -> Any:
        return NoCache()

    def rule(self, params: Any) -> Any:
        return Threshold(0.6)


class GoodCall(GenerationAlgorithm):
    """One call with which nothing is wrong: it repeats a token that the prompt decides."""

    parameters: Any = (standard("gen_length", default=8),)

    def load_model_class(self) -> Any:
        return LLaDAModel

    def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
        values = self.validate_args(**params)
        mask = torch.ones_like(prompt) if attention_mask is None else attention_mask
        return self.written(model, prompt, mask, values)

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        tokens = (prompt * mask).sum(-1, keepdim=True) % 13
        return torch.cat((prompt, tokens.repeat(1, values["gen_length"])), dim=1), 2


WIDTH = Parameter(name="width", kind=int, minimum=1, maximum=4, default=2, aliases=("wide",))
"""A parameter for those that are wrong about theirs."""
