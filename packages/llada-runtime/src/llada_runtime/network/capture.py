"""CUDA graphs of any work, and what torch needs to be told about them. It does not know what is captured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any
from weakref import WeakSet

import torch

__all__ = ["CudaGraphs", "Work"]

Work = Callable[[], object]

_capturing = Lock()  # a capture begins with waiting for the device, which no other capture survives


class CudaGraphs:
    """Captures work on ``device`` in memory that all of its graphs share: they run one after the other.

    Meanwhile other threads may launch, copy and allocate. What torch refuses them until the capture is done:
    to wait for the whole device, and to draw from the device's default random generator.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None  # made where CUDA is used anyway
        self._alive: WeakSet[torch.cuda.CUDAGraph] = WeakSet()
        self._pool: Any = None

    def __call__(self, work: Work) -> Work:
        """What runs ``work``, which is not run now.

        Raises:
            RuntimeError: it cannot be captured, or memory ran out.
        """
        with _capturing:
            if not self._alive:  # the memory of graphs that are all gone is given back, and its handle void
                self._pool = torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            try:
                self._capture(graph, work, self._pool)
            except RuntimeError:
                # torch leaves its random generator in a capture that fails; one that does not gets it out.
                with suppress(RuntimeError):
                    self._capture(torch.cuda.CUDAGraph(), lambda: torch.zeros(1, device=self._device), None)
                raise
        self._alive.add(graph)
        return graph.replay

    def _capture(self, graph: torch.cuda.CUDAGraph, work: Work, pool: Any) -> None:
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)
        # The outer context puts the stream back, which torch's own forgets where a capture fails.
        back = torch.cuda.stream(torch.cuda.current_stream(self._device))
        # Only in this thread does that fail which no graph can hold.
        how = {"pool": pool, "stream": self._stream, "capture_error_mode": "thread_local"}
        with back:
            torch.cuda.synchronize()  # which also sets a new thread's context
            torch.cuda.current_blas_handle()  # made now: a thread's first product cannot make it in a capture
            with torch.cuda.graph(graph, **how):
                work()
