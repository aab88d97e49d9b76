"""``Parallel``: the network of which rank 0 has a part, and its crew the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor

from llada_core.checkpoints.dcp_source import DcpContents
from llada_core.errors import UsageError
from llada_runtime.network.cache import KVCache, Move
from llada_runtime.network.calls import Merge
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Form, Layout
from llada_runtime.network.parallel.crew import Crew
from llada_runtime.network.parallel.messages import message_of
from llada_runtime.network.parallel.room import has_room
from llada_runtime.network.parallel.wire import Command
from llada_runtime.network.protocol import TokenIds
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.shape import Shape
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["Parallel"]


class Parallel:
    """A network on several ranks; a `Network` like others.

    Args:
        network: rank 0's part, ready to decode.
        ranks: what it computes with the others by.
        crew: the others, ready to decode.
    """

    caches = True

    def __init__(self, network: Any, *, ranks: Ranks, crew: Crew) -> None:
        self.network = network
        self._ranks, self._crew = ranks, crew
        self._numbers: WeakKeyDictionary[KVCache, int] = WeakKeyDictionary()  # of caches
        self._made = 0
        self._forgotten: deque[int] = deque()  # caches that are gone, of which the others do not know yet
        self._last: Form | None = None
        self._fits = (0, 0)  # columns, and those asked for logits, of which a forward is known to fit
        self._end = finalize(self, _end, crew, network, ranks)  # also when the program ends

    @property
    def tensor_parallel(self) -> int:
        """How many ranks there are."""
        return self._ranks.split.size

    @property
    def dcp(self) -> DcpContents | None:
        """What was read of a trainer's checkpoint; None where the weights are the folder's own."""
        contents: DcpContents | None = self.network.dcp
        return contents

    @property
    def replays(self) -> int:
        """How many forwards were those of CUDA graphs, so far."""
        return getattr(self.network, "replays", 0)

    @property
    def capture_problem(self) -> str | None:
        """Why a capture failed at rank 0, None where none did."""
        return getattr(self.network, "capture_problem", None)

    @property
    def lost(self) -> str | None:
        """Why it can decode no more, which is for good; None where it can, or is closed."""
        return self._crew.lost

    @property
    def config(self) -> TokenIds:
        config: TokenIds = self.network.config
        return config

    @property
    def shape(self) -> Shape:
        """The numbers of the whole network."""
        shape: Shape = self.network.shape
        return shape

    @property
    def device(self) -> torch.device:
        """That of rank 0."""
        device: torch.device = self.network.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.network.dtype
        return dtype

    @property
    def merges(self) -> Merge | bool:
        merges: Merge | bool = self.network.merges
        return merges

    def new_cache(self, *, columns: int) -> KVCache:
        """Room for ``columns`` columns, a part of each at every rank; what happens to it happens there."""
        with self._crew.turn():
            cache: KVCache = self.network.new_cache(columns=columns)
            self._made += 1
            self._tell(Command.CACHE, (self._made, columns, cache.capacity))
        cache.mirror = _Mirror(self, self._made)
        self._numbers[cache] = self._made
        finalize(cache, self._forgotten.append, self._made).atexit = False
        return cache

    def affordable_columns(self) -> int:
        """Columns that every rank has memory for; where that is one machine's, all of them together."""
        with self._crew.turn():
            self._tell(Command.AFFORD)
            least = min(self.network.affordable_columns(), *self._crew.answers())
        return least // self.tensor_parallel if self.device.type == "cpu" else least

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.network.embed(ids)
        return embedded

    def mix(self, probabilities: Tensor) -> Tensor:
        mixed: Tensor = self.network.mix(probabilities)
        return mixed

    @torch.inference_mode()
    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[H, V]``, as the network's own on one device but for the order of sums.

        Raises:
            torch.OutOfMemoryError: some rank's memory does not hold the forward, which none has begun.
            GenerationError: a rank has failed, be it that its memory ran out; the model is of no use then.
            UsageError: the model is closed, or what is fed does not fit it.
        """
        layout = self._checked(layout)
        number = None if cache is None else self._numbers[cache]
        self._make_sure_of_room(layout.form)
        with self._crew.turn():
            self._tell(Command.FORWARD, message_of(layout, cache=number, last=self._last))
            self._last = layout.form
            self._ranks.give(layout.ids)
            for _, inputs in layout.inputs:
                self._ranks.give(inputs)
            logits: Tensor = self.network.logits(layout, cache)
        return logits

    def close(self) -> None:
        """End the other ranks; what is called later raises UsageError."""
        self._end()

    def _make_sure_of_room(self, form: Form) -> None:
        """Ask the ranks about a forward that is wider than those before. Raises torch.OutOfMemoryError."""
        columns, head_columns = form.columns, form.head_columns
        if columns <= self._fits[0] and head_columns <= self._fits[1]:
            return
        with self._crew.turn():
            self._tell(Command.ROOM, (columns, head_columns))
            fits = has_room(self.network, columns, head_columns)
            fits = all(self._crew.answers()) and fits
        if not fits:
            raise torch.OutOfMemoryError(f"a rank has no memory for a forward of {columns} columns")
        self._fits = (max(columns, self._fits[0]), max(head_columns, self._fits[1]))

    def _checked(self, layout: Layout) -> Layout:
        """``layout``, its embeddings as they are sent. What could only fail at a rank is refused here."""
        sent = []
        for start, inputs in layout.inputs:
            if inputs.dim() != 2 or inputs.shape[1] != self.shape.width:
                raise UsageError(
                    f"embeddings of shape {list(inputs.shape)} are fed; give [columns, {self.shape.width}]"
                )
            sent.append((start, inputs.to(self.device, self.dtype).contiguous()))
        return replace(layout, inputs=tuple(sent)) if sent else layout

    def _tell(self, command: Command, ints: Sequence[int] = ()) -> None:
        gone = [self._forgotten.popleft() for _ in range(len(self._forgotten))]
        if gone:
            self._crew.tell(Command.FORGET, gone)
        self._crew.tell(command, ints)

    def _resize(self, number: int, cache: KVCache, capacity: int, used: int) -> None:
        """Raises torch.OutOfMemoryError where some rank has no memory for it."""
        failure, self._fits = None, (0, 0)
        with self._crew.turn():
            self._tell(Command.RESIZE, (number, capacity, used))
            try:
                cache.resize(capacity, used)
            except Exception as exc:
                if not is_out_of_memory(exc):
                    raise
                failure = exc.with_traceback(None)
            able = all(self._crew.answers())
        if failure is not None:
            raise failure
        if not able:
            raise torch.OutOfMemoryError(f"a rank has no memory for {capacity} columns")

    def _move(self, number: int, cache: KVCache, moves: Sequence[Move]) -> None:
        with self._crew.turn():
            self._tell(Command.MOVE, (number, *(value for move in moves for value in move)))
            cache.move(moves)


def _end(crew: Crew, network: Any, ranks: Ranks) -> None:
    """End the ranks. Graphs go first: they hold on to what the ranks are connected by."""
    if not crew.is_ours:
        return
    if isinstance(network, Graphed):
        network.let_go()
    crew.end()
    ranks.parted()


class _Mirror:
    """What a cache of this number asks of its ranks. It holds no cache: that goes when its rows have."""

    def __init__(self, network: Parallel, number: int) -> None:
        self._network, self._number = network, number

    def resize(self, cache: KVCache, capacity: int, used: int) -> None:
        self._network._resize(self._number, cache, capacity, used)

    def move(self, cache: KVCache, moves: Sequence[Move]) -> None:
        self._network._move(self._number, cache, moves)
