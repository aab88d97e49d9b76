"""A model with its thread, for as long as lines are answered on it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from llada_server.draining import leave
from llada_server.http.served import Served
from llada_server.opening import config_of
from llada_server.room import room_of
from llada_server.serving import columns_of, served_model, told_loaded
from llada_server.settings import ServerSettings

__all__ = ["opened"]


@contextmanager
def opened(settings: ServerSettings) -> Iterator[Served]:
    """The model that the settings name, with its thread, which ends with the context. Raises as loading.

    A signal while the thread ends its last step ends the process.
    """
    with told_loaded(settings) as model:
        columns = columns_of(model, settings, room_of(model, config_of(settings)))
        served, _ = served_model(model, settings, columns=columns)
        served.worker.start()
        try:
            yield served
        finally:
            try:
                served.worker.stop()
            except KeyboardInterrupt as exc:
                leave(128 + getattr(exc, "number", signal.SIGINT))
