"""Algorithms of other engines on a network, which each must refuse by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

import llada_core
from llada_core import AlgorithmUnavailable
from llada_runtime import StepAlgorithm

__all__ = ["check_refused", "foreign"]

_SAID = (
    "it decides each position by the logits of|it lets each position see|it is for a|runs on a NemotronModel"
)


def foreign(own: Collection[str]) -> list[str]:
    """The installed algorithms, but for an engine's ``own``, that decode by steps on networks of the
    runtime."""
    kinds = {name: llada_core.get_algorithm(name) for name in llada_core.list_algorithms()}
    return [name for name, each in kinds.items() if isinstance(each, StepAlgorithm) and name not in own]


def check_refused(name: str, network: Any) -> None:
    """The algorithm of another engine does not decode on ``network``, where it is called directly."""
    algorithm: Any = llada_core.get_algorithm(name)
    if not algorithm.yields_steps():
        pytest.skip("it decodes by its own generate")
    with pytest.raises(AlgorithmUnavailable, match=_SAID):
        algorithm.generate(network, [[5, 6]], gen_length=4)
