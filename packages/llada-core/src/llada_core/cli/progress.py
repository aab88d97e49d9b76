"""Bars on stderr, where that is a terminal: a model being loaded, and prompts being answered."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from llada_core.cli.streams import line_of
from llada_core.imports import load_target
from llada_core.progress import Told

__all__ = ["Bar", "busy_bar", "lines_bar", "prompts_bar"]

_PERIOD = 0.2  # seconds between two pictures: drawing must not count in what is measured


class Bar:
    """How many of some prompts are answered; nothing is drawn where ``progress`` is None."""

    def __init__(self, progress: Any = None, task: Any = None) -> None:
        self._progress, self._task, self._drawn = progress, task, 0.0

    @property
    def above(self) -> TextIO | None:
        """Where whole lines may be written, from any thread, to stand above the bar; None without one."""
        if self._progress is None:
            return None
        stream: TextIO = load_target("rich.file_proxy:FileProxy")(self._progress.console, sys.stderr)
        return stream

    def tell(self, label: str) -> Told:
        """What makes this a bar of something that is counted, called ``label``, once a count is told."""

        def told(done: int, count: int) -> None:
            if self._progress is not None:
                text = f"{label}, {done} of {count}"
                self._progress.update(self._task, description=text, completed=done, total=count)

        return told

    def describe(self, label: str) -> None:
        """Let the bar be called so from its next picture on."""
        if self._progress is not None:
            self._progress.update(self._task, description=line_of(label))

    def advance(self, count: int) -> None:
        """Count so many more as answered; draw the bar if that was not done just now."""
        if self._progress is None:
            return
        self._progress.advance(self._task, count)
        if time.monotonic() - self._drawn > _PERIOD:
            self._drawn = time.monotonic()
            self._progress.refresh()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While this is entered, lines may be written to the terminal that the bar is on."""
        if self._progress is not None:
            self._progress.stop()
        try:
            yield
        finally:
            if self._progress is not None:
                self._progress.start()


@contextmanager
def busy_bar(label: str) -> Iterator[Bar]:
    """Show that something is going on, of which nobody says how much is done, or not yet."""
    with _progress(label, total=None, auto_refresh=True) as bar:
        yield bar


@contextmanager
def prompts_bar(label: str, total: int) -> Iterator[Bar]:
    """A bar for ``total`` prompts; none for a single one."""
    if total < 2:
        yield Bar()
        return
    with _progress(label, total=total, auto_refresh=False) as bar:
        yield bar


@contextmanager
def lines_bar(label: str, total: int, *, done: int) -> Iterator[Bar]:
    """A bar for the ``total`` lines of a file, of which some are ``done``."""
    with _progress(label, total=total, auto_refresh=True, done=done) as bar:
        yield bar


@contextmanager
def _progress(label: str, *, total: int | None, auto_refresh: bool, done: int = 0) -> Iterator[Bar]:
    if sys.stderr is None or not sys.stderr.isatty():
        yield Bar()
        return
    columns = [
        load_target("rich.progress:TextColumn")("{task.description}", markup=False),
        load_target("rich.progress:BarColumn")(),
        *([] if total is None else [load_target("rich.progress:MofNCompleteColumn")()]),
        load_target("rich.progress:TimeElapsedColumn")(),
    ]
    # Answers go to stdout: rich would move them to where the bar is.
    with load_target("rich.progress:Progress")(
        *columns,
        console=load_target("rich.console:Console")(stderr=True),
        transient=True,
        auto_refresh=auto_refresh,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield Bar(progress, progress.add_task(line_of(label), total=total, completed=done))
