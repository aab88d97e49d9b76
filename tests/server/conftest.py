"""What every test of the server leaves as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

LOGGERS = ("llada_server", "llada_server.access", "uvicorn", "asyncio")


@contextmanager
def restored(log: logging.Logger) -> Iterator[None]:
    """Leave a logger as it was."""
    level, propagate, handlers = log.level, log.propagate, list(log.handlers)
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate, log.handlers = propagate, handlers


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A server that is started in this process writes its log to the stderr of the test that started it."""
    with ExitStack() as stack:
        for name in LOGGERS:
            stack.enter_context(restored(logging.getLogger(name)))
        yield
