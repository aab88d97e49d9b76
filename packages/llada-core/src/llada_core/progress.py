"""How far a wait has come, told to whoever waits: past all that lies between, which need not pass it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Told", "listener", "telling"]

Told = Callable[[int, int], None]
"""Is called with how much is done, and how much there is to do."""

_told: ContextVar[Told | None] = ContextVar("llada_told", default=None)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """While this is entered, what takes long in this thread tells ``told``, and nobody else."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def listener() -> Told:
    """Whom to tell now; a function that does nothing where nobody listens."""
    return _told.get() or _nobody


def _nobody(done: int, count: int) -> None:
    """Tell nobody."""
