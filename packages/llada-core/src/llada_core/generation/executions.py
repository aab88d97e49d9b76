"""Who runs requests on a model, as far as anybody still holds them; and who asks it just now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakSet

__all__ = ["Executions"]


class Executions:
    """A set of executions that keeps none of them alive. Threads may add to it, and ask, while others look.

    Who would change the model first has the check refuse, and then looks whether anything is ``in_work``:
    what is not by then never will be.
    """

    def __init__(self) -> None:
        self._held: WeakSet[Any] = WeakSet()
        self._lock = Lock()
        self._asking = 0
        self._check: Callable[[], None] = lambda: None

    def check_by(self, check: Callable[[], None]) -> None:
        """Have all who ask pass ``check`` first, which raises where the model cannot be asked."""
        self._check = check

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count as work: a row being submitted, or a forward that is of none. Raises what the check does."""
        with self._lock:
            self._check()
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1

    @property
    def in_work(self) -> int:
        """Rows that wait or run, and those who ask."""
        with self._lock:
            rows: int = sum(each.in_work for each in self._held)
            return self._asking + rows

    def add(self, execution: Any) -> None:
        """Take it in, for as long as it lasts."""
        with self._lock:
            self._held.add(execution)

    def __iter__(self) -> Iterator[Any]:
        """Those that are there now."""
        with self._lock:
            return iter(list(self._held))
