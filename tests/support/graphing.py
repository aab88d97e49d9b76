"""Graphs without a GPU: what is captured is run again, on the tensors that it was captured with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from llada_runtime import LLaDAModel
from llada_runtime.network.capture import CudaGraphs
from llada_runtime.network.layout import Form
from llada_runtime.network.rotary import Turn
from llada_runtime.testing import write_llada

Work = Callable[[], object]


class FakeGraphs:
    """Counts what is captured and replayed; ``failure`` is raised instead, where there is one."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.captured, self.replayed, self.asked, self.failure = 0, 0, 0, failure

    def __call__(self, work: Work) -> Work:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        replay = self.capture(work)
        self.captured += 1

        def counted() -> None:
            self.replayed += 1
            replay()

        return counted

    def capture(self, work: Work) -> Work:
        return work


class CountedGraphs(FakeGraphs):
    """True ones of the GPU, counted."""

    def __init__(self, graphs: CudaGraphs) -> None:
        super().__init__()
        self.capture = graphs  # type: ignore[method-assign]


class AsCaptured(LLaDAModel):
    """A network that always does what it does in a capture: the rotation is computed from the positions."""

    def _turn_at(self, form: Form, positions: Tensor) -> Turn:
        return self._rotary.at(positions)


def small(kind: Any = AsCaptured, **changes: Any) -> Any:
    """A random network of this ``kind`` on the CPU."""
    with tempfile.TemporaryDirectory(prefix="llada-small-") as folder:
        return kind.from_pretrained(write_llada(Path(folder), **changes), device="cpu")
