"""What reading the files of others may raise, told as one of our errors.

Code that comes with a checkpoint, and libraries that are not written in Python, raise anything; some of it
derives from ``BaseException`` and is no interrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llada_core.errors import CheckpointError, LladaError, ModelLoadError
from llada_core.faults import is_interrupt, one_line

__all__ = ["loading", "raised_as"]


@contextmanager
def raised_as(told: Callable[[BaseException], LladaError]) -> Iterator[None]:
    """Raise ``told(exc)`` from whatever is raised inside; errors of ours and interrupts pass."""
    try:
        yield
    except LladaError:
        raise
    except BaseException as exc:
        if is_interrupt(exc):
            raise
        raise told(exc) from exc


@contextmanager
def loading(path: str) -> Iterator[None]:
    """Raise as ``ModelLoadError`` of ``path`` what its loader raises inside: a ``CheckpointError``, and
    whatever is none of our errors, no interrupt, and no warning that the caller has made an error."""
    try:
        yield
    except BaseException as exc:
        ours = isinstance(exc, LladaError) and not isinstance(exc, CheckpointError)
        if ours or is_interrupt(exc) or isinstance(exc, Warning):
            raise
        raise _not_loaded(path, exc) from exc


def _not_loaded(path: str, exc: BaseException) -> ModelLoadError:
    if _is_of_memory(exc):
        reason = f"the memory does not hold it ({one_line(exc)}); free some, or give another dtype or device"
    elif isinstance(exc, (CheckpointError, OSError, ValueError, RuntimeError)) and str(exc).strip():
        reason = str(exc)
    else:
        reason = f"{one_line(exc)}; that is a fault of the code that loads it: report it to its author"
    return ModelLoadError(f"{path} cannot be loaded: {reason}", path=path, reason=reason)


def _is_of_memory(exc: BaseException) -> bool:
    """Whether it says that memory ran out; torch has a class for that of a GPU, and none for the CPU's."""
    kinds = isinstance(exc, MemoryError) or type(exc).__name__ == "OutOfMemoryError"
    return kinds or (isinstance(exc, RuntimeError) and "can't allocate memory" in str(exc))
