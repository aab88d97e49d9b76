"""What the signals that end programs do in a test that sends one."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

__all__ = ["ending_signals"]

_ENDING = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


@pytest.fixture
def ending_signals() -> Iterator[None]:
    """They end this process, and every one that the test starts.

    A shell that starts the tests in the background has them ignore SIGINT, ``nohup`` has them ignore SIGHUP,
    and every process that they start would too.
    """
    before = {number: signal.signal(number, handler) for number, handler in _ENDING.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
