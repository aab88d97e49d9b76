"""What a rank but the first does: run what rank 0 tells it, until rank 0 ends.

It knows no request, tokenizer, rule or policy. It ends when rank 0 does, whatever way that ends and whatever
it is doing then: a thread waits for that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.distributed import FileStore

from llada_core.errors import LladaError
from llada_core.faults import one_line
from llada_runtime.network.cache import KVCache
from llada_runtime.network.layout import Layout
from llada_runtime.network.parallel.messages import read_message
from llada_runtime.network.parallel.part import Part, ready
from llada_runtime.network.parallel.room import has_room
from llada_runtime.network.parallel.wire import Command, Line, LineEnded, read_end
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["follow", "main", "serve"]

_LOOK = 1.0  # seconds between looks at whether the parent is still there


def main(job: dict[str, Any]) -> NoReturn:
    """The program of a process that rank 0 has started; ``job`` is what it was told."""
    place = Path(job["store"])

    def clear() -> None:
        shutil.rmtree(place.parent, ignore_errors=True)

    threading.Thread(target=_end_with_parent, args=(job["parent"], clear), daemon=True).start()
    torch.set_num_threads(job["threads"])
    line = Line(commands=socket(fileno=job["commands"]), life=socket(fileno=job["life"]))
    part, rank = Part.of(job["part"]), job["rank"]
    follow(line, part, rank, store=lambda: FileStore(str(place), part.size), clear=clear)


def follow(
    line: Line, part: Part, rank: int, *, store: Callable[[], Any], clear: Callable[[], None] = lambda: None
) -> NoReturn:
    """Be this rank, and end the process with it.

    Warnings are rank 0's to give: it loads the same files. Signals to stop are for rank 0 too, whose end is
    this one's: service managers and torchrun send them to all, and rank 0 may have work to finish.

    Args:
        store: gives where the ranks meet, once they are to.
        clear: takes away what rank 0 has left, where that ended and could not.
    """
    if threading.current_thread() is threading.main_thread():  # else they are the program's own matter
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_leader, args=(line, clear), daemon=True).start()
    warnings.simplefilter("ignore")
    try:
        network, ranks = part.load(rank)
        line.answer(1)
        command, _ = line.told()
        assert command is Command.CONNECT
        steps = ready(network, ranks, store())
        line.answer(1)
        serve(line, steps, ranks)
    except LineEnded:  # rank 0 is gone: the other thread knows whether that was meant
        time.sleep(_LOOK)
    except BaseException as exc:
        if not isinstance(exc, LladaError):  # which says all there is to say
            traceback.print_exc()
        line.say_fault(one_line(exc))
    _end(1)


def serve(line: Line, network: Any, ranks: Ranks) -> NoReturn:
    """Do what rank 0 tells. Raises LineEnded, and what goes wrong."""
    follower = _Follower(network, ranks)
    while True:
        answer = follower.does(*line.told())
        if answer is not None:
            line.answer(answer)


class _Follower:
    """The caches of one rank, and its part of the network."""

    def __init__(self, network: Any, ranks: Ranks) -> None:
        self._network, self._ranks = network, ranks
        self._caches: dict[int, KVCache] = {}
        self._layout: Layout | None = None

    @torch.inference_mode()
    def does(self, command: Command, ints: Sequence[int]) -> int | None:
        """What is answered to the command, if anything is, once it has been done."""
        if command is Command.FORWARD:
            self._forward(ints)
        elif command is Command.CACHE:
            self._new_cache(*ints)
        elif command is Command.FORGET:
            for number in ints:
                del self._caches[number]
        elif command is Command.RESIZE:
            return self._resize(*ints)
        elif command is Command.MOVE:
            number, *moves = ints
            self._caches[number].move(list(zip(moves[::3], moves[1::3], moves[2::3], strict=True)))
        elif command is Command.ROOM:
            return has_room(self._network, *ints)
        else:
            assert command is Command.AFFORD
            return int(self._network.affordable_columns())
        return None

    def _forward(self, ints: Sequence[int]) -> None:
        forward, last = read_message(ints), self._layout
        assert forward.form is not None or last is not None
        form = forward.form or last.form  # type: ignore[union-attr]
        ids = self._given(form.columns, dtype=torch.int64)
        width = self._network.shape.width
        inputs = tuple((start, self._given(count, width)) for start, count in forward.inputs)
        if forward.form is None and last is not None:
            self._layout = replace(last, ids=ids, inputs=inputs)
        else:
            self._layout = Layout.at(form, ids=ids, inputs=inputs)
        cache = None if forward.cache is None else self._caches[forward.cache]
        self._network.logits(self._layout, cache)

    def _given(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """What rank 0 sends."""
        dtype = self._network.dtype if dtype is None else dtype
        return self._ranks.give(torch.empty(shape, dtype=dtype, device=self._network.device))

    def _new_cache(self, number: int, columns: int, capacity: int) -> None:
        cache = self._network.new_cache(columns=columns)
        if cache.capacity != capacity:
            raise RuntimeError(f"a cache begins with {cache.capacity} columns, and {capacity} at rank 0")
        self._caches[number] = cache

    def _resize(self, number: int, capacity: int, used: int) -> int:
        try:
            self._caches[number].resize(capacity, used)
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
            return 0
        return 1


def _end_with_leader(line: Line, clear: Callable[[], None]) -> None:
    meant, _ = read_end(line.life)
    if not meant:
        clear()
    _end(0 if meant else 1)


def _end_with_parent(parent: int, clear: Callable[[], None]) -> None:
    """The connections tell as much, unless a process that rank 0 has forked holds them open."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    clear()
    _end(1)


def _end(status: int) -> NoReturn:
    """At once, whatever runs: on a GPU a collective that waits for a dead rank cannot be unwound."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)
