"""The ranks as torchrun started them: one program in several processes on one machine.

They find each other at the store that torchrun's variables name. Rank 0 listens on the loopback and leaves
there where, and by what word it knows its own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from socket import create_connection, create_server, socket
from typing import Any

import torch.distributed as dist

from llada_core.errors import UsageError
from llada_runtime.network.parallel.crew import Crew
from llada_runtime.network.parallel.part import Part
from llada_runtime.network.parallel.wire import Line

__all__ = ["Launched", "launched_as"]

_WAIT = timedelta(minutes=10)  # for processes that were started together, and import what they need
_COMMANDS, _LIFE = b"c", b"l"
_WORD = 32  # bytes
_KEY = "rank 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """The way of a process that torchrun started: ``rank`` of the part's size."""

    part: Part
    rank: int

    def crew(self) -> Crew:
        """The other ranks, once they have called. For rank 0. Raises ``UsageError`` for a second model."""
        store = self._store()
        if store.check([_KEY]):
            raise UsageError(
                "the processes that torchrun started are the ranks of another model already; load one model "
                "with tensor_parallel a program, or start the program without torchrun"
            )
        word = secrets.token_bytes(_WORD)
        with create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_WAIT.total_seconds())
            store.set(_KEY, f"{server.getsockname()[1]} {word.hex()}")
            ends: dict[tuple[int, bytes], socket] = {}
            while len(ends) < 2 * (self.part.size - 1):
                end, _ = server.accept()
                caller = _greeting(end, word)
                if caller is None:
                    end.close()
                else:
                    ends[caller] = end
        lines = [
            Line(commands=ends[rank, _COMMANDS], life=ends[rank, _LIFE]) for rank in range(1, self.part.size)
        ]
        return Crew(lines)

    def line(self) -> Line:
        """The connection to rank 0. For the others."""
        port, word = self._store().get(_KEY).decode().split()
        ends = []
        for kind in (_COMMANDS, _LIFE):
            end = create_connection(("127.0.0.1", int(port)))
            end.sendall(bytes.fromhex(word) + kind + self.rank.to_bytes(2, "big"))
            ends.append(end)
        return Line(commands=ends[0], life=ends[1])

    def store(self) -> Any:
        """Where the ranks meet."""
        return dist.PrefixStore("ranks", self._store())

    def _store(self) -> Any:
        store, _, _ = next(dist.rendezvous("env://", self.rank, self.part.size, timeout=_WAIT))
        return dist.PrefixStore("llada", store)


def launched_as(size: int, environ: Mapping[str, str] | None = None) -> int | None:
    """The rank that torchrun gave this process; None where it was started alone.

    Raises ``UsageError`` where torchrun started other ranks than the ``size`` that are asked for.
    """
    variables = os.environ if environ is None else environ
    if "RANK" not in variables or "WORLD_SIZE" not in variables:
        return None
    world, local = variables["WORLD_SIZE"], variables.get("LOCAL_WORLD_SIZE", variables["WORLD_SIZE"])
    if world != str(size):
        raise UsageError(
            f"tensor_parallel={size}, and torchrun started {world} processes (WORLD_SIZE); "
            f"start torchrun with --nproc-per-node {size}, or the program without torchrun"
        )
    if local != world:
        raise UsageError(
            f"torchrun started {local} of {world} processes on this machine, and tensor_parallel is of one "
            f"machine; start it with --nnodes 1 --nproc-per-node {size}"
        )
    return int(variables["RANK"])


def _greeting(end: socket, word: bytes) -> tuple[int, bytes] | None:
    """The rank of who calls, and which connection it is; None for one who does not know the word."""
    end.settimeout(_WAIT.total_seconds())
    said = b""
    while len(said) < _WORD + 3:
        more = end.recv(_WORD + 3 - len(said))
        if not more:
            return None
        said += more
    end.settimeout(None)
    if not secrets.compare_digest(said[:_WORD], word):
        return None
    return int.from_bytes(said[-2:], "big"), said[_WORD : _WORD + 1]
