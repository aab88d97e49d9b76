"""Good algorithms, and the tables into which wrong ones are entered, each with what is said of it.

``WRONG`` holds those whose row fails in work, ``REFUSED`` those whose call is refused before anything is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from llada_core import standard
from llada_runtime import BestFirst, DualCache, PrefixCache, Quota, StepAlgorithm

PARAMETERS = (standard("gen_length"), standard("block_length"), standard("early_stop", default=False))
Kind = TypeVar("Kind", bound=type)
WRONG: dict[str, tuple[type, str]] = {}
REFUSED: dict[str, tuple[type, str]] = {}


def wrong(told: str, *, table: dict[str, tuple[type, str]] = WRONG) -> Callable[[Kind], Kind]:
    """Enter the class under the name that it is registered by, with what is said where it runs."""

    def enter(kind: Kind) -> Kind:
        table[kind.__name__.lower()] = (kind, told)
        return kind

    return enter


class Good(StepAlgorithm):
    def policy(self, params: Any) -> Any:
        return DualCache()

    def rule(self, params: Any) -> Any:
        return Quota(3)


class OneBest(BestFirst):
    @classmethod
    def counts(cls, parameters: Any, ranked: Any, open_counts: Any) -> Any:
        return open_counts.clamp(max=1)


class GoodPrefix(Good):
    def policy(self, params: Any) -> Any:
        return PrefixCache()

    def rule(self, params: Any) -> Any:
        return OneBest()


class GoodCall(Good):
    def generate(self, model: Any, prompt: Any, **kwargs: Any) -> Any:
        answer = (prompt[:, -1:] + 1).repeat(1, kwargs["gen_length"]) % 25
        return torch.cat((prompt, answer), dim=1), 2


GOOD: dict[str, type] = {"good": Good, "goodprefix": GoodPrefix, "goodcall": GoodCall}
