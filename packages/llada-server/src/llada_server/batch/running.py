"""From two files and settings to an exit status: what is left is answered, and every answer is kept."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import click

from llada_core.cli.progress import busy_bar, lines_bar
from llada_core.cli.signals import ended_like_an_interrupt
from llada_core.environment import check_one_process
from llada_core.errors import LladaError, UsageError
from llada_server.batch.answering import Answered, Answering
from llada_server.batch.bodies import check_beginning
from llada_server.batch.cluster import Workers, connected
from llada_server.batch.index import Index
from llada_server.batch.lines import lines_of
from llada_server.batch.output import Output
from llada_server.batch.placing import placed
from llada_server.batch.resuming import Left, marked, take_in
from llada_server.batch.session import opened
from llada_server.batch.shares import Sizes
from llada_server.batch.signals import told_by_signals
from llada_server.batch.spread import Lost, Spread
from llada_server.batch.tally import Tally
from llada_server.batch.telling import told_now_and_then
from llada_server.logs import log_to_stderr, logged_to
from llada_server.opening import check_named
from llada_server.scheduler.spare_memory import freeze
from llada_server.scheduler.work import Broken, Closing
from llada_server.settings import ServerSettings

__all__ = ["FAILED", "OnCluster", "run"]

FAILED = 3
"""The exit status where every line is done, and some have no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCluster:
    """Where workers are to answer: the address of a cluster, or None where Ray is to find one or to start one
    of this machine; and how many of them, None being one a GPU, or one a machine."""

    address: str | None = None
    replicas: int | None = None


class _Answers(Protocol):
    """What becomes of lines: ``Answering`` or ``Spread``."""

    def __iter__(self) -> Iterator[Answered]: ...

    def stop(self) -> None: ...


def run(source: Path, out: Path, settings: ServerSettings, *, cluster: OnCluster | None = None) -> int:
    """Answer the lines of ``source`` that ``out`` does not have: the exit status, 0 or ``FAILED``.

    They are answered in this process, or by the workers of a ``cluster``. Raises ``UsageError`` for files
    that cannot be used, before a model is loaded, what loading raises, ``OutputError``, and ``LladaError``
    where the model's thread broke, workers were lost, or the input has changed meanwhile; what was answered
    stays.
    """
    log_to_stderr(settings.log_level, requests=False, prompts=settings.log_prompts)
    check_one_process("--tensor-parallel-size")
    with ended_like_an_interrupt(), _input(source, out) as file, Output(out) as output:
        with busy_bar(f"Reading {source}"), closing(Index()) as index:
            taken = take_in(index, file, source, most=settings.max_body)
            tally = marked(index, taken, output, source)
            if not index.done:
                file.seek(0)
                check_beginning(lines_of(file, most=settings.max_body), source, settings)
            output.begin()
        if index.done < index.count:
            lines = Left(file, index, taken)
            with _answers(lines, index, settings, cluster) as answers:
                _answer(answers, lines, output, tally)
        click.echo(tally.summary, err=True)
    return FAILED if tally.failed else 0


def _answers(
    lines: Left, index: Index, settings: ServerSettings, cluster: OnCluster | None
) -> AbstractContextManager[_Answers]:
    return _here(lines, settings) if cluster is None else _spread(lines, index, settings, cluster)


@contextmanager
def _here(lines: Left, settings: ServerSettings) -> Iterator[Answering]:
    """By a model in this process. Raises as loading."""
    with opened(settings) as served:
        freeze()
        click.echo(
            f"model {served.name} by {served.engine}, {served.default_algorithm} where a line names none, "
            f"up to {settings.max_num_seqs} requests at a time",
            err=True,
        )
        yield Answering(served, lines)


@contextmanager
def _spread(lines: Left, index: Index, settings: ServerSettings, cluster: OnCluster) -> Iterator[Spread]:
    """By the workers of a cluster, which load the model when the first line is asked for. Raises
    ``UsageError`` where there is no such cluster or too small a one, and as ``check_named``."""
    check_named(settings)
    with connected(cluster.address) as there:
        pool = placed(there.machines, settings, replicas=cluster.replicas)
        sizes = Sizes.of(settings, left=index.count - index.done, workers=pool.least)
        click.echo(
            f"workers: {pool.least}, cores of each: {pool.cpus_per_replica:g}, GPUs of each: "
            f"{pool.gpus_per_replica:g}, up to {settings.max_num_seqs} requests at a time each",
            err=True,
        )
        yield Spread(Workers(there, settings, pool, sizes), lines, index, sizes)


def _answer(answers: _Answers, lines: Left, output: Output, tally: Tally) -> None:
    """Write what becomes of each line that is left, as soon as it is known."""
    tally.begin()
    try:
        with (
            told_by_signals(answers.stop) as told,
            lines_bar(tally.now, tally.count, done=tally.before) as bar,
            logged_to(bar.above),
            told_now_and_then(tally, bar),
        ):
            for one in answers:
                output.write(one.text.encode() + b"\n")
                tally.take(one)
                bar.advance(1)
    except (Broken, Closing) as exc:
        raise LladaError(f"the model's thread broke: {_so_far(output, tally)}") from exc
    except Lost as exc:
        raise LladaError(f"{exc}: {_so_far(output, tally)}") from exc
    if told:
        click.echo(f"stopped: {_so_far(output, tally)}", err=True)
        raise click.exceptions.Exit(128 + told[0])
    if not lines.same:
        raise LladaError(f"the input changed while it was answered: {_so_far(output, tally)}")


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
