"""Between two rounds of training: other weights for a loaded model, and its memory for somebody else.

How a network does that, the algorithm knows that has loaded it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core.errors import CheckpointError, LladaError, UsageError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.model import Model
from llada_core.values import shown

__all__ = ["Resting"]

_ASLEEP = "this model sleeps; call its wake() first"
_BARE = "this model has no weights since it slept at level 2; give it some by load_weights"
_MIXED = "a load_weights failed half-way, so that this model has weights of two rounds; give it all of one"


class Resting:
    """Whether a loaded model can be asked, and how that changes. ``loader`` has loaded it."""

    def __init__(self, loader: GenerationAlgorithm) -> None:
        self._loader = loader
        self._level: int | None = None
        self._lacks: str | None = None  # why its weights are none to decode by

    @property
    def asleep(self) -> bool:
        """Whether memory has been released, and not been taken again."""
        return self._level is not None

    def check(self) -> None:
        """Refuse a request that cannot be answered now. Raises ``UsageError``."""
        reason = _ASLEEP if self.asleep else self._lacks
        if reason is not None:
            raise UsageError(reason)

    def close(self) -> None:
        """Let go of the network."""
        self._loader.model = self._loader.tokenizer = None

    def load_weights(self, model: Model, weights: Any, *, partial: bool) -> None:
        """As ``LoadedModel.load_weights``."""
        _check_idle(model, "its weights cannot be exchanged")
        if self.asleep:
            raise UsageError(_ASLEEP)
        if partial and self._lacks is not None:
            raise UsageError(f"{self._lacks}: leave partial out")
        try:
            self._loader.exchange_weights(model.network, weights, partial=partial)
        except BaseException as exc:
            one_by_one = isinstance(exc, CheckpointError) and not isinstance(weights, Mapping)
            if one_by_one or not isinstance(exc, LladaError):  # else nothing has been written
                self._lacks = _MIXED
            raise
        self._lacks = None

    def sleep(self, model: Model, level: int) -> None:
        """As ``LoadedModel.sleep``."""
        if level not in (1, 2) or isinstance(level, bool):
            raise UsageError(
                f"level={shown(level)} is none; give 1 to keep the weights in host memory, or 2 to drop them"
            )
        if self.asleep:
            raise UsageError("this model sleeps already; call wake() before it is to sleep at another level")
        _check_idle(model, "its memory cannot be released")
        for execution in list(model.executions):
            execution.rest()
        self._loader.release_memory(model.network, level)
        self._level = level
        if level == 2:
            self._lacks = _BARE

    def wake(self, model: Model) -> None:
        """As ``LoadedModel.wake``."""
        if not self.asleep:
            raise UsageError("this model is awake; wake() is for one that sleeps")
        self._loader.take_memory(model.network)
        self._level = None


def _check_idle(model: Model, what: str) -> None:
    """Refuse while rows are in flight: what they have cached is of the weights as they are."""
    count = sum(execution.in_work for execution in list(model.executions))
    if count:
        raise UsageError(
            f"{count} requests are in work on this model, so that {what}; let their sessions and streams "
            "come to an end, or close these"
        )
