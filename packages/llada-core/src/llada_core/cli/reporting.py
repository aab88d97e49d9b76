"""What becomes of an error or a warning: one line on stderr that ends with the remedy, and an exit status."""

from __future__ import annotations

import sys
import traceback
from typing import TextIO

import click

from llada_core import errors
from llada_core.cli.streams import line_of
from llada_core.names import closest

__all__ = ["DEBUG", "report", "show_warning", "status_of", "tracebacks_wanted"]

DEBUG = "llada_core.debug"
"""The key in ``click.Context.meta`` that says whether tracebacks are wanted."""


def tracebacks_wanted() -> bool:
    """Whether the command that is run was given ``--debug``."""
    context = click.get_current_context(silent=True)
    return bool(context is not None and context.meta.get(DEBUG))


def report(exc: BaseException, *, of: str = "", debug: bool = False) -> None:
    """Say what went wrong in one line, after the traceback where ``debug`` asks for it.

    ``of`` names the part of the call that failed, where there are several.
    """
    if debug and sys.stderr is not None:
        traceback.print_exception(exc, file=sys.stderr)
    click.echo(f"error: {of}{line_of(_describe(exc))}", err=True)


def status_of(exc: BaseException) -> int:
    """The exit status of a run that ends in this error: 2 where the call is wrong, 1 for all else."""
    return 2 if isinstance(exc, click.UsageError | errors.UsageError) else 1


def _describe(exc: BaseException) -> str:
    if isinstance(exc, click.NoSuchOption):
        return _see(exc, _unknown_option(exc))
    if isinstance(exc, click.UsageError):
        return _see(exc, exc.format_message())
    if isinstance(exc, click.ClickException):
        return exc.format_message()
    if isinstance(exc, errors.LladaError):
        return str(exc)
    said = f"{exc} ({type(exc).__name__}" if str(exc) else f"an error that says nothing ({type(exc).__name__}"
    return f"{said}; run again with --debug to see where)"


def _see(exc: click.UsageError, said: str) -> str:
    path = exc.ctx.command_path if exc.ctx else "llada"
    return f"{said} See {path} --help" if said.endswith("?") else f"{said.rstrip('.')}; see {path} --help"


def _unknown_option(exc: click.NoSuchOption) -> str:
    params = exc.ctx.command.params if exc.ctx else []
    said = f"there is no option {exc.option_name}"
    for each in params:
        if isinstance(each, click.Argument) and exc.option_name == f"--{each.name}":
            return f"{said}; give {(each.name or '').upper()} by itself"
    near = closest(exc.option_name, [name for each in params for name in each.opts if name.startswith("--")])
    return f"{said}; did you mean {near[0]}?" if near else said


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Stand in for ``warnings.showwarning``: a line on stderr."""
    click.echo(f"warning: {line_of(str(message))}", err=True)
