"""stdout is for answers: while a command of ours runs, what anybody else prints goes to stderr.

Plugins, algorithms and the code that comes with models may print whenever they run, through Python or below
it. This module is the program's alone: in other programs stdout is nobody's but theirs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

__all__ = ["answers_alone", "divert_the_rest", "stdout", "stdout_given_back"]


class _Diversion:
    """The one diversion of the process.

    ``answers`` is where stdout led before. Where stdout is that of the process, descriptor 1 is diverted too,
    for what does not print through Python (``os.write``, a child process), and ``answers`` has a descriptor
    of its own.
    """

    def __init__(self) -> None:
        self.made = False
        self.answers: TextIO | None = None
        self._before: TextIO | None = None
        self._is_process = False

    def enter(self) -> None:
        _flush(sys.stdout)
        self._before = self.answers = sys.stdout
        self._is_process = _descriptor(sys.stdout) == 1
        if self._is_process:
            self.answers = _copy_of(sys.stdout)
        self.made = True
        self.divert()

    def leave(self) -> None:
        self.give_back()
        self.made = False
        if self._is_process and self.answers is not None:
            with suppress(OSError, ValueError):  # its reader is gone
                self.answers.close()
        self.answers = self._before = None

    def divert(self) -> None:
        _flush(sys.stdout)
        if self._is_process:
            _lead_elsewhere()
        sys.stdout = sys.stderr

    def give_back(self) -> None:
        _flush(sys.stdout)
        sys.stdout = self._before  # None where it is closed
        if self._is_process and self.answers is not None:
            os.dup2(self.answers.fileno(), 1)


_diversion = _Diversion()


def stdout() -> TextIO | None:
    """Where answers go, diverted or not; None where stdout is closed."""
    return _diversion.answers if _diversion.made else sys.stdout


@contextmanager
def answers_alone() -> Iterator[None]:
    """While this is entered, only what is written to ``stdout()`` gets there; it may be entered again
    inside."""
    if _diversion.made:
        yield
        return
    _diversion.enter()
    try:
        yield
    finally:
        _diversion.leave()


@contextmanager
def stdout_given_back() -> Iterator[None]:
    """While this is entered, stdout is for everybody again: for ``input``, which edits lines only there."""
    if not _diversion.made:
        yield
        return
    _diversion.give_back()
    try:
        yield
    finally:
        _diversion.divert()


def divert_the_rest() -> None:
    """Divert until the process ends: what exit handlers, threads and the buffers of C still print is no
    answer."""
    _flush(sys.stdout)
    if _descriptor(sys.stdout) == 1:
        _lead_elsewhere()
    sys.stdout = sys.stderr


def _flush(stream: TextIO | None) -> None:
    """Write what ``stream`` holds; nothing happens where it is closed, or its reader is gone."""
    with suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[union-attr]  # None where it is closed


def _copy_of(stream: TextIO) -> TextIO:
    """The same on a descriptor of its own, which no child process inherits."""
    return open(os.dup(1), "w", encoding=stream.encoding, errors=stream.errors)


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (AttributeError, OSError, ValueError):  # it is no file, or closed
        return None


def _lead_elsewhere() -> None:
    """Let descriptor 1 lead where 2 does, or nowhere where the program was started without that: then 2 is
    of any file that has been opened since."""
    if sys.__stderr__ is not None:
        os.dup2(2, 1)
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
