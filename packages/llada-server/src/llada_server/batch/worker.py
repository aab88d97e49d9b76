"""A worker of several: a model with its thread, in a process that Ray started, which is handed shares.

Each share is a call in a thread of its own, and all calls ask one session: rows of the next share enter as
those of others end, so that the session never drains between two shares.
"""

from __future__ import annotations

import importlib
import logging
from contextlib import ExitStack
from typing import Any

from llada_core.errors import LladaError, UsageError
from llada_server.batch.answering import Answering
from llada_server.batch.session import opened
from llada_server.batch.shares import lines_in, packed
from llada_server.draining import leave
from llada_server.logs import log_to_stderr, logged_to
from llada_server.scheduler.spare_memory import freeze
from llada_server.scheduler.work import Broken, Closing
from llada_server.settings import ServerSettings

__all__ = ["ANSWERS", "LINES", "Worker"]

LINES, ANSWERS = "lines", "answers"
"""What the one column of a table is called, before and after: shares, packed."""
_log = logging.getLogger(__name__)


class Worker:
    """Loads the model once.

    Args:
        starts: a queue in which each start of a worker leaves something, and one that is refused the
            ``UsageError`` besides, of which Ray would tell the text alone.
        most: so many starts there may be: Ray starts a worker again as often as it dies.

    Raises what loading raises, and ``LladaError`` for one more start.
    """

    def __init__(self, settings: ServerSettings, *, starts: Any, most: int) -> None:
        log_to_stderr(settings.log_level, requests=False, prompts=settings.log_prompts)
        starts.put(True)
        if starts.size() > most:
            raise LladaError(f"workers died until they had been started {most} times; see what they logged")
        self._open = ExitStack()
        self._open.enter_context(logged_to(None))
        try:
            self._served = self._open.enter_context(opened(settings))
        except UsageError as exc:
            starts.put(exc)
            raise
        freeze()

    def __call__(self, table: Any) -> Any:
        """A table of Arrow with the answers to the lines in that of ``table``, called from many threads.

        Where the model's thread broke, the process ends before it tells so: Ray starts another one, and asks
        it for the same shares.
        """
        told = [self._answered(share) for share in table[LINES].to_pylist()]
        arrow = importlib.import_module("pyarrow")
        return arrow.table({ANSWERS: arrow.array(told, type=arrow.large_binary())})

    def _answered(self, share: bytes) -> bytes:
        try:
            return packed(list(Answering(self._served, lines_in(share))))
        except (Broken, Closing):
            _log.critical("this worker ends, as its model's thread is gone")
            leave(1)
