"""A program: ``llada batch run`` on a model whose answers are the script, a character a step of SECONDS.

``python -m tests.server.batch.scripted SECONDS IN --out OUT``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from llada_core.cli import main
from llada_server.batch import running
from llada_server.http.served import Served
from llada_server.settings import ServerSettings
from tests.server.apps import scripted_model
from tests.server.fakes import ScriptedSession

__all__ = ["scripted"]


@contextmanager
def scripted(settings: ServerSettings, session: ScriptedSession | None = None) -> Iterator[Served]:
    """The scripted model with its thread; it stands in for ``running.opened``."""
    served, _ = scripted_model(session or ScriptedSession(), settings)
    served.worker.start()
    try:
        yield served
    finally:
        served.worker.stop(5)


if __name__ == "__main__":
    pause = float(sys.argv[1])

    @contextmanager
    def slow(settings: ServerSettings) -> Iterator[Served]:
        with scripted(settings, ScriptedSession(breaks=lambda: time.sleep(pause))) as served:
            yield served

    with mock.patch.object(running, "opened", slow):
        main(["batch", "run", *sys.argv[2:]])
