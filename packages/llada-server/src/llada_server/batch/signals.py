"""Signals that end a batch, told between two lines: none of them comes into the middle of anything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from llada_server.draining import leave

__all__ = ["told_by_signals"]

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def told_by_signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """While this is entered, the first signal to end calls ``stop``, and is the one in the list; a second
    one ends the process. Those that the caller has ignored stay ignored. Outside of the main thread
    nothing changes."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.getsignal(number) for number in _ENDING}

    def tell(number: int, _: FrameType | None) -> None:
        if told:
            leave(128 + number)
        told.append(number)
        stop()

    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        for number in caught:
            signal.signal(number, tell)
        yield told
    finally:
        for number in caught:
            signal.signal(number, before[number])
