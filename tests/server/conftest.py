"""What every test of the server leaves as it was, and a server of the small model for those who want one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.server.apps import Running, model_server

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


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server of the small model."""
    with model_server() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    """A client of ``server``, whichever the module has."""
    with server.client() as client:
        yield client
