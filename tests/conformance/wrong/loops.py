"""Step algorithms whose loop is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llada_runtime import Loop
from tests.conformance.wrong.tables import Good, wrong


class Mumbling(Loop):
    """Says of a step in the middle nothing."""

    def step(self) -> Any:
        return [
            each if each.finished else replace(each, positions=(), tokens=(), confidence=())
            for each in super().step()
        ]


@wrong("a stream ends with the canvas of the result")
class TellsHalf(Good):
    """Its steps leave out what they wrote."""

    loop_class = Mumbling


class Uncounting(Loop):
    """Counts no forwards in its steps."""

    def step(self) -> Any:
        return [replace(each, nfe=0) for each in super().step()]


@wrong("a stream ends with the canvas of the result")
class SaysNoForward(Good):
    """Its steps say that no forward has been run."""

    loop_class = Uncounting


class Occupying(Loop):
    """Marks its network as in use, until its rows have ended."""

    def __init__(self, network: Any, **options: Any) -> None:
        super().__init__(network, **options)
        self._used = network

    def step(self) -> Any:
        if getattr(self._used, "occupied_by", self) is not self:
            raise RuntimeError("the network is in use")
        steps = super().step()
        self._used.occupied_by = self
        if not self.active:
            del self._used.occupied_by
        return steps


@wrong("a stream that is closed early leaves the model usable", "lm.algorithms() agrees with what runs")
class Occupies(Good):
    """It keeps the model for itself until its rows have ended."""

    loop_class = Occupying
