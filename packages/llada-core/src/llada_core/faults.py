"""What other people's code raises: which of it is a fault of theirs, and how a fault is told.

A guard around such code catches ``BaseException``, because a fault need not be an ``Exception``: a panic of a
Rust extension is none, and ``sys.exit`` of a plugin is none. It then asks here, so that interrupts pass::

    except BaseException as exc:  # a plugin may raise anything
        reason = one_line(fault_of(exc))
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["INTERRUPTS", "Fault", "fault_of", "is_interrupt", "one_line", "remedy", "uninterrupted", "whose"]

INTERRUPTS = {"builtins.KeyboardInterrupt", "greenlet.GreenletExit"}
"""What comes from outside, whatever code happens to run, by name: none of these is imported for it.

Subclasses count. ``GeneratorExit`` and a task's ``CancelledError`` are raised where code waits, and the code
that is guarded here waits for nothing: where it raises one, it is its own. A test's time limit is one more,
for those who test with one.
"""

_UNINTERRUPTED = ContextVar("_UNINTERRUPTED", default=False)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it nothing comes from outside, so that whatever is raised is a fault.

    For threads of a program that nobody interrupts: Ctrl-C is raised in the main thread alone, and what looks
    like it in another one was raised by the code that runs there.
    """
    token = _UNINTERRUPTED.set(True)
    try:
        yield
    finally:
        _UNINTERRUPTED.reset(token)


class Fault(Exception):
    """Stands for a fault that is no ``Exception``, which is its ``__cause__``; says what that one says."""


def is_interrupt(exc: BaseException) -> bool:
    """Whether ``exc`` ends the work from outside, as Ctrl-C does.

    It is nobody's fault, and no guard may keep it. ``SystemExit`` is none: code that is asked for something
    has no business ending the program. A group is one where one of its members is. ``uninterrupted``, nothing
    is one.
    """
    if _UNINTERRUPTED.get():
        return False
    if isinstance(exc, BaseExceptionGroup):
        return any(map(is_interrupt, exc.exceptions))
    return any(f"{each.__module__}.{each.__qualname__}" in INTERRUPTS for each in type(exc).__mro__)


def fault_of(exc: BaseException) -> Exception:
    """``exc`` itself, or a ``Fault`` in the place of what is no ``Exception``. Raises ``exc`` where it is an
    interrupt."""
    if is_interrupt(exc):
        raise exc
    if isinstance(exc, Exception):
        return exc
    fault = Fault(one_line(exc))
    fault.__cause__ = exc
    return fault


def one_line(exc: BaseException) -> str:
    """``exc`` as one line of at most 300 characters: its type and what it says, if it can say it.

    The line can be encoded, whatever ``exc`` says.
    """
    try:
        said = " ".join(str(exc).split()).encode("utf-8", "backslashreplace").decode()
    except BaseException as failure:  # an error of somebody else may fail even at this
        if is_interrupt(failure):
            raise
        said = ""
    if isinstance(exc, Fault):
        return said
    return f"{type(exc).__name__}: {said}"[:300] if said else type(exc).__name__


def whose(name: str, distribution: str | None) -> str:
    """The thing of this name as an error tells of it: with its distribution, where it came with one."""
    return f"{name} of {distribution}" if distribution else name


def remedy(distribution: str | None) -> str:
    """What a user does about a fault in code of ``distribution``, None being the program's own code."""
    if distribution:
        return f"upgrade {distribution}, or tell its authors"
    return "mend its code, or take another algorithm"
