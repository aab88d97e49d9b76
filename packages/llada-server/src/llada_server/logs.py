"""What the server writes to stderr. Of errors it tells kinds and places: their words may hold prompts."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

__all__ = ["log_to_stderr", "logged_to"]

_FOREIGN = ("uvicorn", "asyncio")  # which log what goes wrong around our code
_MOST_CAUSES = 20

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def log_to_stderr(level: str, *, requests: bool = True, prompts: bool = False) -> None:
    """Write what the server logs, from ``level`` on, with a line for each of the ``requests``.

    Without ``prompts``, errors are logged without their words, which whoever raised them may have put a
    prompt into. Of other libraries, only what the web server and the event loop warn of is written.
    """
    logging.getLogger("llada_server.access").setLevel(logging.NOTSET if requests else logging.WARNING)
    _write(logging.getLogger("llada_server"), level.upper(), prompts)
    for name in _FOREIGN:
        _write(logging.getLogger(name), "WARNING", prompts)


def _write(log: logging.Logger, level: str, prompts: bool) -> None:
    log.setLevel(level)
    log.propagate = False
    if not log.handlers:
        handler = logging.StreamHandler()
        kind = logging.Formatter if prompts else _Wordless
        handler.setFormatter(kind("%(levelname)s:     %(message)s"))  # as Uvicorn's
        log.addHandler(handler)


@contextmanager
def logged_to(stream: TextIO | None) -> Iterator[None]:
    """While this is entered, what is logged is written to ``stream`` (None: where it was), and of errors of
    one kind that one place raised, all but the first are without that place: there may be a million."""
    logs = map(logging.getLogger, ("llada_server", *_FOREIGN))
    handlers = [each for log in logs for each in log.handlers if isinstance(each, logging.StreamHandler)]
    before, once = [each.stream for each in handlers], _Once()
    for handler in handlers:
        handler.addFilter(once)
        handler.setStream(stream or handler.stream)
    try:
        yield
    finally:
        for handler, its in zip(handlers, before, strict=True):
            handler.removeFilter(once)
            handler.setStream(its)


class _Once(logging.Filter):
    """Lets all pass, and leaves out of errors what has been told of one before."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[object, ...]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            kind = tuple(_kinds(record.exc_info[1]))
            if kind in self._known:
                record.msg, record.args = f"{record.getMessage()}, as one before it", ()
                record.exc_info = None
            self._known.add(kind)
        return True


def _kinds(error: BaseException) -> Iterator[object]:
    """The kinds of an error and of what it came from, each with where it was raised."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        places = [(frame.f_code, line) for frame, line in traceback.walk_tb(cause.__traceback__)]
        yield type(cause), *places[-1:]
        cause = cause.__cause__


class _Wordless(logging.Formatter):
    """Formats errors without what they say."""

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  # the library calls it so
        return "" if ei[1] is None else "\n".join(_lines(ei[1]))


def _lines(error: BaseException) -> Iterator[str]:
    """The kinds of an error and of what it came from, latest first, each with where it was raised."""
    told: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if told is None:
            break
        yield f"{type(told).__module__}.{type(told).__qualname__}, raised in"
        frames = traceback.StackSummary.extract(traceback.walk_tb(told.__traceback__))
        yield from "".join(frames.format()).splitlines()
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    yield "its words are left out, as they may hold prompts; --log-prompts writes them"
