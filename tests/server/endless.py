"""A server whose rows do not end: ``python -m tests.server.endless PORT slow|held [SECONDS]``.

``slow`` rows go on by a step every few milliseconds; ``held``, the first step does not return, as a call of
an algorithm that hangs. ``SECONDS`` is the time that running requests get at a signal.
"""

from __future__ import annotations

import socket
import sys
import time

from llada_server.logs import log_to_stderr
from llada_server.serving import serve
from llada_server.settings import ServerSettings
from tests.server.apps import scripted_model
from tests.server.fakes import ScriptedSession

__all__ = ["main"]

_STEP = {"slow": 0.02, "held": 3600.0}


def main(port: str, kind: str, drain: str = "1") -> int:
    """Serve until asked to stop: the exit status."""
    log_to_stderr("info")
    session = ScriptedSession(breaks=lambda: time.sleep(_STEP[kind]))
    settings = ServerSettings(port=int(port), drain_timeout=float(drain))
    served, metrics = scripted_model(session, settings)
    with socket.create_server(("127.0.0.1", settings.port)) as listening:
        return serve(served, metrics, listening)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
