"""Block steps as CUDA graphs: what has been run before is launched as a whole.

The kernels of a block step take half as long as launching them one by one, and on a slow host so do those of
a row's whole forward. `Graphed` is a network around another: forwards whose rows all ask of the cache, none
under a mask or with keys in two places, are captured once their like has been run a few times, and replayed
from then on. All others are the wrapped network's. This module does not know what a network computes, and
nothing but what loads networks knows that there are graphs.

A graph has numbers and addresses baked in, ``Layout.graph_key`` and ``KVCache.graph_key``. The rest (tokens,
positions, places, where keys lie) it reads from tensors of its own, which a layout is copied into.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from llada_core.environment import read_environment
from llada_core.errors import UsageError
from llada_core.faults import one_line
from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Merge
from llada_runtime.network.capture import CudaGraphs, Work
from llada_runtime.network.graph import Graph
from llada_runtime.network.layout import Layout
from llada_runtime.network.protocol import Network, TokenIds

__all__ = ["Graphed", "Reduction", "graphed"]

_GRAPHS = 32  # kept at a time, those that were used last
_AFTER = 4  # runs of a like forward; capturing costs what about five replays save
_MET = 256  # kinds of forwards whose runs are counted
_COLUMNS = 2048  # of a forward, beyond which its products take longer than its launches

Record = Callable[[Work], Work]
"""Captures work without running it, and returns what runs it. Raises RuntimeError where that fails."""

Reduction = Callable[[Tensor], Tensor]
"""Makes something small of logits ``[H, V]``, which it leaves as they are. It is hashable: equal ones do the
same, and one graph holds what they do."""


def graphed(network: Network) -> Network:
    """``network``, on a GPU with its block steps as CUDA graphs.

    It comes back as it is where it caches nothing, and where LLADA_GRAPHS is off.
    """
    if network.device.type != "cuda" or not network.caches or not read_environment().graphs:
        return network
    alone = getattr(network, "ranks", None) is None
    return Graphed(network, record=CudaGraphs(network.device), alone=alone)


class Graphed:
    """``network`` with its block steps captured by ``record``; every other attribute is the network's own.

    Where a capture fails, steps take the plain path from then on, with a warning. Where memory runs out
    beside graphs, they are let go and half as many are kept from then on, unless other ranks run the same
    forward: they would have to be told.

    All threads that use it must launch on one stream, as they do unless they choose another.

    Attributes:
        replays: how many forwards were those of a graph, so far.
        capture_problem: why a capture failed, None where none did.

    Args:
        most: how many graphs are kept beside those that were prepared, those that were used last.
        after: a forward is captured when its like has been run so often.
        alone: no other rank has a part of the network.
    """

    def __init__(
        self,
        network: Network,
        *,
        record: Record,
        most: int = _GRAPHS,
        after: int = _AFTER,
        alone: bool = True,
    ) -> None:
        self.network, self.alone = network, alone
        self.replays = 0
        self.capture_problem: str | None = None
        self._record, self._most, self._after = record, most, after
        self._prepared = 0  # room for these comes on top: what is met later shall not put them out
        self._columns: int | None = getattr(network, "most_captured", None)
        self._graphs: OrderedDict[Hashable, Graph] = OrderedDict()
        self._met: OrderedDict[Hashable, int] = OrderedDict()  # how often it has been run, on any cache
        self._room: Tensor | None = None  # [columns, V], where graphs leave logits
        self._reserved: KVCache | None = None
        self._lent: Callable[[], KVCache | None] = _nobody  # who has the reserved memory now
        self._lock = Lock()  # graphs share what they compute in

    def __getattr__(self, name: str) -> Any:
        if name == "network":  # not made yet
            raise AttributeError(name)
        return getattr(self.network, name)

    @property
    def config(self) -> TokenIds:
        return self.network.config

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def merges(self) -> Merge | bool:
        return self.network.merges

    @property
    def caches(self) -> bool:
        return self.network.caches

    def new_cache(self, *, columns: int) -> KVCache:
        """Room for ``columns`` columns: in the memory that is reserved, unless another cache has it now."""
        cache = self.network.new_cache(columns=columns)
        if self._reserved is not None and self._lent() is None:
            cache.adopt(self._reserved)
            self._lent = ref(cache)
        return cache

    def affordable_columns(self) -> int:
        free = 0 if self._reserved is None or self._lent() is not None else self._reserved.capacity
        return free + self.network.affordable_columns()

    def reserve(self, columns: int) -> KVCache:
        """Memory that caches use one after the other, so that graphs of one are graphs of the next.

        Returned is a cache of it. Raises torch.OutOfMemoryError, or UsageError while rows hold some of it.
        """
        holder = self._lent()
        if holder is not None and holder.free < holder.columns:
            raise UsageError(
                f"{holder.columns - holder.free} columns of the reserved memory are in use; warm up before "
                "rows are admitted, or once they have ended"
            )
        if self._reserved is None or self._reserved.capacity < columns:
            self._reserved, self._lent = None, _nobody
            cache = self.network.new_cache(columns=columns)
            cache.reserve(columns)
            self._reserved = cache
        return self._reserved

    @torch.inference_mode()
    def prepare(self, layout: Layout, cache: KVCache, reduction: Reduction | None = None) -> None:
        """Capture the forward now, if it is one to be captured at all. Changes keys in ``cache``."""
        with self._lock:
            kind = (layout.graph_key, reduction)
            key = (cache.graph_key, kind)
            if not self._most or key in self._graphs or not self._is_step(layout):
                return
            outcome = self._run(layout, cache, reduction)
            self._meet(kind, None if reduction else outcome)
            graph = self._captured(layout, cache, reduction)
            if graph is not None:
                self._graphs[key] = graph
                self._prepared += 1

    def embed(self, ids: Tensor) -> Tensor:
        return self.network.embed(ids)

    def mix(self, probabilities: Tensor) -> Tensor:
        return self.network.mix(probabilities)

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[H, V]``, as the network's own. Raises torch.OutOfMemoryError where it does."""
        return self._outcome(layout, cache, None)

    def reduced(self, layout: Layout, cache: KVCache | None, reduction: Reduction) -> Tensor:
        """What ``reduction`` makes of the logits. Raises torch.OutOfMemoryError where `logits` does."""
        return self._outcome(layout, cache, reduction)

    @torch.inference_mode()
    def expect(self, layout: Layout, cache: KVCache | None, reduction: Reduction | None = None) -> None:
        """Take what the forward reads already, where there is a graph of it: it may be asked for soon."""
        if cache is None:
            return
        with self._lock:
            graph = self._graphs.get((cache.graph_key, (layout.graph_key, reduction)))
            if graph is not None:
                graph.take(layout)

    @torch.inference_mode()
    def _outcome(self, layout: Layout, cache: KVCache | None, reduction: Reduction | None) -> Tensor:
        try:
            if cache is not None and self._most and self._is_step(layout):
                with self._lock:
                    return self._stepped(layout, cache, reduction)
            return self._run(layout, cache, reduction)
        except torch.OutOfMemoryError:
            if not self.alone or not self._give_way():
                raise
        return self._run(layout, cache, reduction)

    def _is_step(self, layout: Layout) -> bool:
        """Whether every row asks of the cache, none is fed embeddings, and launches are what takes long."""
        most = _COLUMNS if self._columns is None else min(_COLUMNS, self._columns)
        if layout.inputs or layout.form.columns > most or layout.masked:
            return False
        return layout.form.repeated is not None or all(place.reads for place in layout.form.places)

    def _run(self, layout: Layout, cache: KVCache | None, reduction: Reduction | None) -> Tensor:
        logits = self.network.logits(layout, cache)
        return logits if reduction is None else reduction(logits)

    def _stepped(self, layout: Layout, cache: KVCache, reduction: Reduction | None) -> Tensor:
        kind = (layout.graph_key, reduction)
        key = (cache.graph_key, kind)
        graph = self._graphs.get(key)
        if graph is None and self._met.get(kind, 0) >= self._after:
            graph = self._captured(layout, cache, reduction)
        if graph is None:  # this also loads the kernels, which a capture could not
            outcome = self._run(layout, cache, reduction)
            self._meet(kind, None if reduction else outcome)
            return outcome
        self._graphs[key] = graph
        self._graphs.move_to_end(key)
        while len(self._graphs) > self._most + self._prepared:
            self._graphs.popitem(last=False)
        self.replays += 1
        return graph(layout)

    def _meet(self, kind: Hashable, logits: Tensor | None) -> None:
        """Remember that a forward has been run, and have room for its logits, where these came out."""
        self._met[kind] = self._met.pop(kind, 0) + 1
        while len(self._met) > _MET:
            self._met.popitem(last=False)
        has = 0 if self._room is None else len(self._room)
        if logits is not None and len(logits) > has:
            self._room = logits.new_empty(max(len(logits), 2 * has), logits.shape[1])

    def _captured(self, layout: Layout, cache: KVCache, reduction: Reduction | None) -> Graph | None:
        """A graph of the forward, which has not been run then; None where there can be none."""
        own, outcome = layout.copied(), list[Tensor]()
        given = layout.indices
        if reduction is None:
            assert self._room is not None
            outcome.append(self._room[: layout.form.head_columns])

        def work() -> None:  # what is reduced is small, and in memory of the graph's own
            made = self._run(own, cache, reduction)
            outcome[:] = [made if reduction is not None else outcome[0].copy_(made)]

        try:
            replay = self._record(work)
            return Graph(layout=own, reads=own.indices, held=given, replay=replay, outcome=outcome)
        except RuntimeError as exc:
            reason = one_line(exc)
        self._do_without(reason)
        return None

    def _do_without(self, reason: str) -> None:
        self.let_go()
        self._most, self.capture_problem = 0, reason
        warnings.warn(
            f"a block step cannot be captured as a CUDA graph ({reason}): steps are launched kernel by "
            "kernel from now on; set LLADA_GRAPHS=0 to do without graphs from the start",
            RuntimeWarning,
            stacklevel=3,
        )

    def _give_way(self) -> bool:
        """Whether there were graphs, whose memory is free now."""
        with self._lock:
            if not self._graphs:
                return False
            held = len(self._graphs)
            self.let_go()
            self._most //= 2
        warnings.warn(
            f"the device's memory ran out beside {held} CUDA graphs of block steps; at most {self._most} are "
            "kept from now on; decode fewer rows or columns at a time, or set LLADA_GRAPHS=0",
            RuntimeWarning,
            stacklevel=2,
        )
        return True

    def let_go(self) -> None:
        """Forget graphs and what is reserved, and give the memory that nobody uses back."""
        self._reserved, self._lent = None, _nobody  # what was lent is no more the reserved memory
        self._graphs.clear()
        self._prepared = 0
        self._met.clear()
        self._room = None
        torch.cuda.empty_cache()  # does nothing where CUDA has not been used


def _nobody() -> None:
    return None
