"""A replica: a model, its thread, and the application of the single server, in a process that Ray started."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Message

from llada_server.draining import leave
from llada_server.logs import log_to_stderr
from llada_server.ray.handed import Handed, answered
from llada_server.ray.library import imported
from llada_server.scheduler.spare_memory import freeze
from llada_server.scheduler.work import Broken
from llada_server.serving import application_of, opened, told_loaded
from llada_server.settings import ServerSettings

__all__ = ["Model"]

_LAST_STEP = 1.0  # seconds that the model's thread gets to end
_log = logging.getLogger(__name__)


class Model:
    """One replica.

    Args:
        settings: of the server that it is.

    Raises what loading raises.
    """

    def __init__(self, settings: ServerSettings) -> None:
        began = time.perf_counter()
        log_to_stderr(settings.log_level, requests=settings.log_requests, prompts=settings.log_prompts)
        self._loaded = told_loaded(settings)
        served, self._metrics, lines = opened(self._loaded, settings, began=began)
        for line in lines:
            _log.info(line)
        self._name = replica_name()
        self._worker = served.worker
        self._app = application_of(served, self._metrics)
        self._worker.start()
        freeze()

    async def answer(self, asked: Handed) -> AsyncGenerator[list[Message], None]:
        """The answer to a request, as messages of ASGI; first an empty list, to say that the request is here.

        Where the model's thread broke, the process ends before it tells so: Ray starts another one, and the
        ingress asks one that lives.
        """
        yield []
        async with aclosing(answered(self._app, asked)) as batches:
            async for batch in batches:
                if not self._worker.alive:
                    _log.critical("this replica ends, as its model's thread is gone")
                    leave(1)
                yield batch

    async def figures(self) -> tuple[str, bytes]:
        """The replica's name, and what it counts in Prometheus' text format."""
        return self._name, self._metrics.exposition()

    async def check_health(self) -> None:
        """Return while the model's thread works. Raises ``Broken`` when it does not, as ``/health`` tells:
        Ray starts another replica then."""
        if not self._worker.alive:
            raise Broken("the model's thread is gone; see the log of the replica")

    def __del__(self) -> None:
        """End the thread; called when no request is in work any more, and for one that was never loaded."""
        worker = getattr(self, "_worker", None)
        if worker is not None:
            worker.stop(_LAST_STEP)


def replica_name() -> str:
    """What Ray calls the replica that this process is."""
    _, serve = imported()
    return str(serve.get_replica_context().replica_id.unique_id)
