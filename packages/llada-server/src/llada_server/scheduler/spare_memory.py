"""Memory that was freed, and that the C library still holds: given back to the system now and then; and
memory that lasts, which nobody is to look through for garbage.

Forwards of ever other widths leave gaps in glibc's heap, which it keeps: hundreds of MiB after a thousand
requests. Giving them back takes 10 ms of a processor.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable

__all__ = ["SpareMemory", "freeze", "trimmer"]

_PAUSE = 5.0  # seconds; the work then is 0.2 % of the time


def freeze() -> None:
    """Let what is in memory now never be looked at for garbage again: a full collection of torch and of the
    model would hold everybody up for long."""
    gc.collect()
    gc.freeze()


def trimmer() -> Callable[[], object] | None:
    """What gives freed memory back; None where the C library has no such function, as only glibc does."""
    if os.name != "posix":
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return None
    trim.argtypes = [ctypes.c_size_t]
    return lambda: trim(0)


class SpareMemory:
    """Whoever works calls ``give_back`` whenever it likes; it does something every five seconds at most.

    Args:
        trim: what gives memory back, None where nothing does.
        clock: seconds.
    """

    def __init__(
        self, trim: Callable[[], object] | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trim, self._clock = trim, clock
        self._last = clock()

    def give_back(self) -> None:
        """Give back what is free, unless that was done less than five seconds ago."""
        if self._trim is not None and self._clock() - self._last >= _PAUSE:
            self._trim()
            self._last = self._clock()
