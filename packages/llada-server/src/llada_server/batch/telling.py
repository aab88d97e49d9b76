"""How far a run is, told while it goes on: also while nothing is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from llada_core.cli.progress import Bar
from llada_server.batch.tally import Tally

__all__ = ["told_now_and_then"]

_LOOK = 1.0  # seconds between two looks at the figures
_PERIOD = 60.0  # seconds between two lines that tell how far it is


@contextmanager
def told_now_and_then(tally: Tally, bar: Bar) -> Iterator[None]:
    """While this is entered, a thread tells the figures: beside the bar, or by a line now and then without
    one."""
    ending = threading.Event()
    thread = threading.Thread(target=_tell, args=(tally, bar, ending), name="llada-telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _tell(tally: Tally, bar: Bar, ending: threading.Event) -> None:
    while not ending.wait(_LOOK if bar.above is not None else _PERIOD):
        if bar.above is not None:
            bar.describe(tally.now)
        else:
            click.echo(tally.line, err=True)
