"""Who runs requests on a model, as far as anybody still holds them."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any
from weakref import WeakSet

__all__ = ["Executions"]


class Executions:
    """A set of executions that keeps none of them alive. Threads may add to it while others look."""

    def __init__(self) -> None:
        self._held: WeakSet[Any] = WeakSet()
        self._lock = Lock()

    def add(self, execution: Any) -> None:
        """Take it in, for as long as it lasts."""
        with self._lock:
            self._held.add(execution)

    def __iter__(self) -> Iterator[Any]:
        """Those that are there now."""
        with self._lock:
            return iter(list(self._held))
