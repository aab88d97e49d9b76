"""Between two rounds of training: other weights for a loaded model, and its memory for somebody else.

How a network does that, the algorithm knows that has loaded it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from llada_core.errors import LladaError, ModelNotReady, UsageError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.executions import Executions
from llada_core.generation.model import Model
from llada_core.values import shown

__all__ = ["CLOSED", "Resting"]

CLOSED = "this model is closed; load it again"
"""What is said of a model that has let go of its network."""

_ASLEEP = "this model sleeps; call its wake() first"
_TWICE = "this model sleeps already; call wake() before it is to sleep at another level"
_BARE = "this model has no weights since it slept at level 2; give it some by load_weights"
_MIXED = "a load_weights failed half-way, so that this model has weights of two rounds; give it all of one"
_EXCHANGING = "this model is being given other weights; ask again once load_weights has returned"
_TURNING = "this model is about to sleep or to wake; ask again once sleep or wake has returned"


class Resting:
    """Whether a loaded model can be asked, and how that changes. ``loader`` has loaded it, and ``executions``
    are who asks it: from now on they are refused where it cannot be.

    Attributes:
        round: how often its weights have begun to be exchanged.
    """

    def __init__(self, loader: GenerationAlgorithm, executions: Executions) -> None:
        self._loader = loader
        self._closed = False
        self._level: int | None = None
        self._lacks: str | None = None  # why its weights are none to decode by
        self._changing: str | None = None  # what is under way
        self._lock = Lock()
        self.round = 0
        executions.check_by(self.check)

    @property
    def asleep(self) -> bool:
        """Whether memory has been released, and not been taken again."""
        return self._level is not None

    def check(self) -> None:
        """Refuse a request that cannot be answered now. Raises ``ModelNotReady``, and ``UsageError`` once it
        is closed."""
        if self._closed:
            raise UsageError(CLOSED)
        reason = self._changing or (_ASLEEP if self.asleep else self._lacks)
        if reason is not None:
            raise ModelNotReady(reason)

    def close(self) -> None:
        """Let go of the network."""
        self._closed = True
        self._loader.model = self._loader.tokenizer = None

    def load_weights(self, model: Model, weights: Any, *, partial: bool) -> None:
        """As ``LoadedModel.load_weights``."""
        with self._alone(_EXCHANGING):
            _check_idle(model, "its weights cannot be exchanged")
            if self.asleep:
                raise UsageError(_ASLEEP)
            if partial and self._lacks is not None:
                raise UsageError(f"{self._lacks}: leave partial out")
            self._loader.exchange_weights(model.network, weights, partial=partial, begun=self._begin)
            self._lacks = None

    def _begin(self) -> None:
        """The first weight is about to be written: until the last one has been, there are two rounds."""
        self._lacks = _MIXED
        self.round += 1

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Refuse requests meanwhile: who looks for rows in work shall find what stays so."""
        with self._lock:
            if self._changing is not None:
                raise UsageError(self._changing)
            self._changing = what
        try:
            yield
        finally:
            self._changing = None

    def sleep(self, model: Model, level: int) -> None:
        """As ``LoadedModel.sleep``."""
        if level not in (1, 2) or isinstance(level, bool):
            raise UsageError(
                f"level={shown(level)} is none; give 1 to keep the weights in host memory, or 2 to drop them"
            )
        with self._alone(_TURNING):
            if self.asleep:
                raise UsageError(_TWICE)
            _check_idle(model, "its memory cannot be released")
            for execution in model.executions:
                execution.rest()
            before = self._lacks
            self._level, self._lacks = level, _BARE if level == 2 else before
            try:
                self._loader.release_memory(model.network, level)
            except LladaError:  # refused; after anything else some may be gone, and wake brings it back
                self._level, self._lacks = None, before
                raise

    def wake(self, model: Model) -> None:
        """As ``LoadedModel.wake``."""
        with self._alone(_TURNING):
            if not self.asleep:
                raise UsageError("this model is awake; wake() is for one that sleeps")
            self._loader.take_memory(model.network)
            self._level = None


def _check_idle(model: Model, what: str) -> None:
    """Refuse while rows or forwards are in flight: what they have cached is of the weights as they are."""
    count = model.executions.in_work
    if count:
        are = "1 request is" if count == 1 else f"{count} requests are"
        raise UsageError(
            f"{are} in work on this model, so that {what}; let their sessions and streams come to an end, or "
            "close these"
        )
