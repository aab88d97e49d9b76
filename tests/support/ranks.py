"""A network on several ranks that are threads of this process: all of it but the processes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socketpair
from typing import Any

from torch.distributed import HashStore

from llada_core.faults import one_line
from llada_runtime import LLaDAModel
from llada_runtime.network.parallel.crew import Crew
from llada_runtime.network.parallel.follower import serve
from llada_runtime.network.parallel.leader import Parallel
from llada_runtime.network.parallel.part import Part
from llada_runtime.network.parallel.wire import Line, LineEnded
from llada_runtime.network.ranks import Ranks

__all__ = ["LLADA", "FailsAtRankOne", "on_ranks"]

LLADA = "llada_runtime.models.llada:LLaDAModel"


def _as_it_is(network: Any) -> Any:
    return network


@contextlib.contextmanager
def on_ranks(
    folder: Path, *, size: int = 2, target: str = LLADA, wrapped: Callable[[Any], Any] = _as_it_is
) -> Iterator[tuple[Parallel, list[Any]]]:
    """The network in ``folder`` split between ``size`` ranks, and what each of these holds.

    Args:
        wrapped: makes of each rank's network what it runs.
    """
    part, store, lines = (
        Part(target=target, folder=str(folder), size=size, device="cpu", dtype="float32"),
        HashStore(),
        [],
    )
    held: list[tuple[Any, Ranks]] = [part.load(rank) for rank in range(size)]
    networks = [wrapped(network) for network, _ in held]
    threads = []
    for rank in range(1, size):
        (here, there), (mine, its) = socketpair(), socketpair()
        lines.append(Line(commands=here, life=mine))
        line = Line(commands=there, life=its)
        threads.append(threading.Thread(target=_followed, args=(line, networks[rank], held[rank][1], store)))
        threads[-1].start()
    crew = Crew(lines)
    crew.joins(held[0][1])
    held[0][1].connect(store)
    network = Parallel(networks[0], ranks=held[0][1], crew=crew)
    try:
        yield network, networks
    finally:
        network.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def _followed(line: Line, network: Any, ranks: Ranks, store: Any) -> None:
    """What the process of a rank does, but for its end."""
    try:
        ranks.connect(store)
        serve(line, network, ranks)
    except LineEnded:
        pass
    except BaseException as exc:
        line.say_fault(one_line(exc))
    ranks.abort()
    line.close()


class FailsAtRankOne(LLaDAModel):
    """A network whose second part cannot be loaded."""

    @classmethod
    def from_pretrained(cls, folder: Any, *, ranks: Ranks | None = None, **how: Any) -> Any:
        if ranks is not None and not ranks.leads:
            raise OSError("the disk is gone")
        return super().from_pretrained(folder, ranks=ranks, **how)
