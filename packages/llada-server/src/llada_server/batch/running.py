"""From two files and settings to an exit status: what is left is answered, and every answer is kept."""

from __future__ import annotations

import gc
import signal
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from llada_core.cli.progress import Bar, busy_bar, lines_bar
from llada_core.cli.signals import ended_like_an_interrupt
from llada_core.environment import check_one_process
from llada_core.errors import LladaError, UsageError
from llada_server.batch.answering import Answering
from llada_server.batch.index import Index
from llada_server.batch.output import Output
from llada_server.batch.resuming import Left, marked, take_in
from llada_server.batch.signals import told_by_signals
from llada_server.batch.tally import Tally
from llada_server.draining import leave
from llada_server.http.served import Served
from llada_server.logs import log_to_stderr, logged_to
from llada_server.opening import config_of
from llada_server.room import room_of
from llada_server.scheduler.work import Broken, Closing
from llada_server.serving import columns_of, served_model, told_loaded
from llada_server.settings import ServerSettings

__all__ = ["FAILED", "opened", "run"]

FAILED = 3
"""The exit status where every line is done, and some have no answer."""
_PERIOD = 60.0  # seconds between two lines that tell how far it is


def run(source: Path, out: Path, settings: ServerSettings) -> int:
    """Answer the lines of ``source`` that ``out`` does not have: the exit status, 0 or ``FAILED``.

    Raises ``UsageError`` for files that cannot be used, before a model is loaded, what loading raises,
    ``OutputError``, and ``LladaError`` where the model's thread broke and where the input has changed
    meanwhile; what was answered stays.
    """
    log_to_stderr(settings.log_level, requests=False, prompts=settings.log_prompts)
    check_one_process("--tensor-parallel-size")
    with ended_like_an_interrupt(), _input(source, out) as file, Output(out) as output:
        with busy_bar(f"Reading {source}"), closing(Index()) as index:
            taken = take_in(index, file, source, most=settings.max_body)
            tally = marked(index, taken, output, source)
            output.begin()
        if index.done < index.count:
            with opened(settings) as served:
                _answer(served, Left(file, index, taken), output, tally)
        click.echo(tally.summary, err=True)
    return FAILED if tally.failed else 0


@contextmanager
def opened(settings: ServerSettings) -> Iterator[Served]:
    """The model that the settings name, with its thread, which ends with the context. Raises as loading.

    A signal while the thread ends its last step ends the process.
    """
    with told_loaded(settings) as model:
        columns = columns_of(model, settings, room_of(model, config_of(settings)))
        served, _ = served_model(model, settings, columns=columns)
        served.worker.start()
        try:
            yield served
        finally:
            try:
                served.worker.stop()
            except KeyboardInterrupt as exc:
                leave(128 + getattr(exc, "number", signal.SIGINT))


def _answer(served: Served, lines: Left, output: Output, tally: Tally) -> None:
    """Write what becomes of each line that is left, as soon as it is known."""
    gc.collect()
    gc.freeze()  # as the server does: a full collection of the model holds everybody up
    click.echo(_told(served), err=True)
    tally.begin()
    answering = Answering(served, lines)
    try:
        with (
            told_by_signals(answering.stop) as told,
            lines_bar(tally.now, tally.count, done=tally.before) as bar,
            logged_to(bar.above),
        ):
            _keep(answering, output, tally, bar)
    except (Broken, Closing) as exc:
        raise LladaError(f"the model's thread broke: {_so_far(output, tally)}") from exc
    if told:
        click.echo(f"stopped: {_so_far(output, tally)}", err=True)
        raise click.exceptions.Exit(128 + told[0])
    if not lines.same:
        raise LladaError(f"the input changed while it was answered: {_so_far(output, tally)}")


def _keep(answering: Answering, output: Output, tally: Tally, bar: Bar) -> None:
    """Write each answer, and tell how far it is: by the bar, or by a line now and then without one."""
    said = tally.seconds
    for one in answering:
        output.write(one.text.encode() + b"\n")
        tally.take(one)
        bar.describe(tally.now)
        bar.advance(1)
        if bar.above is None and tally.seconds - said >= _PERIOD:
            said = tally.seconds
            click.echo(tally.line, err=True)


def _told(served: Served) -> str:
    settings = served.settings
    return (
        f"model {served.name} by {served.engine}, {served.default_algorithm} where a line names none, up to "
        f"{settings.max_num_seqs} requests at a time"
    )


def _so_far(output: Output, tally: Tally) -> str:
    done = tally.before + tally.done
    return f"{output.path} has {done} of {tally.count} lines; give the same command again to go on"


def _input(source: Path, out: Path) -> BinaryIO:
    """The input, open. Raises ``UsageError`` for one that cannot be read twice, or would be written to."""
    try:
        if not stat.S_ISREG(source.stat().st_mode):  # a pipe would be waited for
            raise UsageError(f"{source} is no file, and lines are read twice; write them to one")
        file = source.open("rb")
    except OSError as exc:
        raise UsageError(f"{source} cannot be read ({exc.strerror}); give a file of requests") from exc
    with suppress(OSError):  # it is not there, or cannot be looked at, which opening it tells
        if out.samefile(source):
            file.close()
            raise UsageError(f"--out: {out} is the input; give another file")
    return file
