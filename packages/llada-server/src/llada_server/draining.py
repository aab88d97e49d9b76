"""A web server with an end in two steps: the first signal lets requests in work finish, the second does not.

From the first on, new requests get 503. What has not ended within ``drain_timeout`` gets 503 too, inside a
stream as its last event, whatever the model's thread is at: nobody waits for a call that does not return.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn, Protocol

import uvicorn
from starlette.types import ASGIApp

from llada_server.http.connections import configured
from llada_server.settings import ServerSettings

__all__ = ["Server", "Working", "leave"]

_FAREWELL = 2  # whole seconds that clients get to take the last bytes of their answers
_LOOK = 0.02
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Working(Protocol):
    """Who answers requests, and is told that the end is near."""

    @property
    def accepted(self) -> int:
        """Requests that have not ended."""
        ...

    def close(self) -> None:
        """Take no more; called by handlers of signals."""
        ...

    def dismiss(self) -> None:
        """Tell whoever waits that nothing more comes."""
        ...


class Server(uvicorn.Server):
    """Serves ``app`` until a signal asks to stop, and then until nobody waits for the ``worker``."""

    def __init__(self, app: ASGIApp, worker: Working, settings: ServerSettings) -> None:
        super().__init__(configured(app, settings, farewell=_FAREWELL))
        self._worker, self._timeout, self._stopping = worker, settings.drain_timeout, False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop: drain at the first, leave at the second with the status of a killed process."""
        if self._stopping:
            leave(128 + sig)
        self._stopping = True
        self._worker.close()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals until the process ends; unlike Uvicorn's, one is not raised once more after it.

        Until then, one leaves with the status of a killed process; the interpreter that is being taken down
        knows no handlers, and would die of it.
        """
        for number in _SIGNALS:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            self._stopping = True
            atexit.register(_ignore)
            atexit.register(_drop_unwritten)

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Wait for what is in work, at most ``drain_timeout``, dismiss the rest and close connections."""
        until = time.monotonic() + self._timeout
        while self._worker.accepted and time.monotonic() < until:
            await asyncio.sleep(_LOOK)
        self._worker.dismiss()
        await super().shutdown(sockets)  # type: ignore[arg-type]


def _ignore() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _drop_unwritten() -> None:
    """Let go of what a full device does not take: the interpreter would end with a status of its own."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def leave(status: int) -> NoReturn:
    """End the process at once.

    The interpreter does not clean up: it would wait for threads, or end one in the middle of a forward.
    """
    # A signal that came in the middle of a write lets no other one in.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
            stream.flush()
    os._exit(status)
