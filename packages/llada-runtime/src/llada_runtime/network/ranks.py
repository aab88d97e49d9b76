"""What the ranks of one model compute together. Every call is made by all of them, in one order.

The process group is this model's own: a program may have others, and torch's default one is left alone. This
module does not know how ranks are started, nor what they compute apart.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import AllgatherOptions, AllreduceOptions, BroadcastOptions

from llada_runtime.network.split import Split

__all__ = ["Ranks"]

_PATIENCE = 10.0  # seconds


class Ranks:
    """The processes that hold the parts of one model, seen from one of them.

    Made before weights are read; ``connect`` comes before the first forward.

    Attributes:
        split: which rank this is, of how many.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.split, self._device = split, device
        self._group: Any = None  # not connected, or parted
        self._parting: threading.Thread | None = None
        self._sum, self._gather, self._give = _options()

    @property
    def leads(self) -> bool:
        """Whether this is rank 0: biases and residuals come in once, by it, and it has the logits."""
        return self.split.rank == 0

    @property
    def _others(self) -> Any:
        group = self._group  # read once: another thread may part
        if group is None:
            raise RuntimeError("the ranks have parted")
        return group

    def connect(self, store: Any) -> None:
        """Meet the others at ``store``, a ``torch.distributed.Store``. Waits for them."""
        rank, size = self.split.rank, self.split.size
        if self._device.type == "cuda":
            # A graph is captured at one rank when it is at all of them, but not at the same instant: nothing
            # may be agreed on while capturing, as registering a graph's buffers would be.
            os.environ.setdefault("NCCL_GRAPH_REGISTER", "0")
            torch.cuda.set_device(self._device)
            self._group = dist.ProcessGroupNCCL(store, rank, size, dist.ProcessGroupNCCL.Options())
        else:
            options = dist.ProcessGroupGloo._Options()
            options._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
            self._group = dist.ProcessGroupGloo(store, rank, size, options)
        self.add_up(torch.zeros(1, device=self._device))  # connections are made here, and not in a capture

    def add_up(self, part: Tensor) -> Tensor:
        """``part``, in its place the sum of all ranks' parts: the same bits at each rank."""
        _wait(self._others.allreduce([part], self._sum))
        return part

    def gathered(self, part: Tensor) -> Tensor:
        """At rank 0 the ranks' parts ``[H, V / size]`` beside each other, ``[H, V]``; elsewhere ``part``."""
        size, (rows, width) = self.split.size, part.shape
        parts = part.new_empty(size * rows, width)
        if part.is_cuda:
            parts.fill_(torch.nan)  # what a rank that has died leaves is seen to be no logits
        _wait(self._others._allgather_base(parts, part, self._gather))
        return parts.view(size, rows, width).transpose(0, 1).flatten(1) if self.leads else part

    def give(self, tensor: Tensor) -> Tensor:
        """``tensor``, in its place that of rank 0."""
        _wait(self._others.broadcast([tensor], self._give))
        return tensor

    def abort(self) -> None:
        """Part from the others, in whatever thread, without waiting: what waits for them ends.

        On a GPU it does so with any result, on the CPU with an error, once the others are gone.
        """
        group, self._group = self._group, None
        if group is not None and self._device.type == "cuda":
            # In a thread: NCCL lets the GPU go at once, and then waits until no graph has its sums in it.
            self._parting = threading.Thread(target=group.abort, daemon=True)
            self._parting.start()

    def parted(self) -> None:
        """Wait until nothing is left of what was aborted; no graph may hold sums any more.

        A thread that is still in NCCL when the program ends would take it down.
        """
        if self._parting is not None:
            self._parting.join(_PATIENCE)


def _options() -> tuple[Any, Any, Any]:
    options = (AllreduceOptions(), AllgatherOptions(), BroadcastOptions())
    for each in options:
        if hasattr(each, "asyncOp"):
            each.asyncOp = False  # on the stream of the network's own kernels
    return options


def _wait(work: Any) -> None:
    if work is not None:
        work.wait()
