"""Signals that end a program, told to what it is doing so that it leaves nothing half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

__all__ = ["ended_like_an_interrupt"]

# What a batch system and a terminal that closes send; Windows has but the first.
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Ended(KeyboardInterrupt):
    """A signal that would have ended the program on the spot."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ended_like_an_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what is inside as Ctrl-C does: what it has begun is cleared away. The
    command's exit status is then 128 and the signal's number, as if it had not been caught.

    One that the caller has ignored, as nohup does, stays ignored. Outside of the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    caught = [number for number, handler in before.items() if handler is signal.SIG_DFL]

    def end(number: int, _: FrameType | None) -> NoReturn:
        for each in caught:  # a second one must not disturb the clearing away
            signal.signal(each, signal.SIG_IGN)
        raise _Ended(number)

    try:
        for number in caught:
            signal.signal(number, end)
        yield
    except _Ended as exc:
        raise click.exceptions.Exit(128 + exc.number) from exc
    finally:
        for number in caught:
            signal.signal(number, before[number])
