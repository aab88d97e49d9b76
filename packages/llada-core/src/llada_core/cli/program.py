"""The program ``llada``: which commands there are, and what becomes of an error.

An error is one line on stderr that ends with the remedy. Exit status: 2 where the call is wrong, 1 for other
errors, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn, TextIO

import click
from click.shell_completion import shell_complete

from llada_core import errors, registry
from llada_core.imports import load_target
from llada_core.plugins.specs import CommandSpec

__all__ = ["COMMANDS", "Program", "main", "run"]

_CLI = "llada_core.cli"
_COMPLETE = "_LLADA_COMPLETE"
COMMANDS = (
    CommandSpec(
        name="plugins", target=f"{_CLI}.listing:plugins", summary="List the plugins and what became of each."
    ),
    CommandSpec(name="engines", target=f"{_CLI}.listing:engines", summary="List the engines."),
    CommandSpec(
        name="algorithms",
        target=f"{_CLI}.listing:algorithms",
        summary="List the algorithms and what they take.",
    ),
    CommandSpec(name="detect", target=f"{_CLI}.listing:detect", summary="Say which engine takes a model."),
    CommandSpec(name="generate", target=f"{_CLI}.generate:generate", summary="Answer a prompt."),
    CommandSpec(name="chat", target=f"{_CLI}.chat:chat", summary="Talk with a model, turn by turn."),
    CommandSpec(
        name="doctor",
        target=f"{_CLI}.doctor:doctor",
        summary="Say what runs here, what does not, and what fits.",
    ),
)


class Program(click.Group):
    """A group whose commands are imported when they are run; those of plugins stand beside our own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._specs())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = {spec.name: spec for spec in COMMANDS}
        # Plugins are asked only for a name that is not ours: a broken one cannot disturb `llada doctor`.
        spec = own.get(name) or self._specs().get(name)
        return None if spec is None else _load_command(spec)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(spec.name, spec.summary) for spec in self._specs().values()])

    def _specs(self) -> dict[str, CommandSpec]:
        return {spec.name: spec for spec in (*COMMANDS, *registry.list_commands())}


def _load_command(spec: CommandSpec) -> click.Command:
    try:
        command = load_target(spec.target)
    except Exception as exc:  # a plugin's module may raise anything
        message = f"the command {spec.name} cannot be imported from {spec.target} ({exc}); mend its plugin"
        raise click.ClickException(message) from exc
    if not isinstance(command, click.Command):
        message = f"{spec.target} of the command {spec.name} is not a click command; mend its plugin"
        raise click.ClickException(message)
    return command


@click.command(
    cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="llada-core", prog_name="llada")
@click.pass_context
def program(ctx: click.Context, debug: bool) -> None:
    """Diffusion language models: engines, algorithms, and answers."""
    ctx.meta[_DEBUG] = debug
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_DEBUG = "llada_core.debug"


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run ``llada`` with ``args`` (default: those of the process) and exit."""
    if instruction := os.environ.get(_COMPLETE):
        sys.exit(shell_complete(program, {}, "llada", _COMPLETE, instruction))
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """The exit status of ``llada`` with ``args``; errors are on stderr, and nothing is raised."""
    meta: dict[str, object] = {}
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            _invoke(list(args), meta)
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        return _drop_output()
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as exc:  # the last line of defence: a user never sees a traceback unasked
        return _report(exc, debug=bool(meta.get(_DEBUG)))
    return 0


def _invoke(args: list[str], meta: dict[str, object]) -> None:
    with program.make_context("llada", args) as ctx:
        try:
            program.invoke(ctx)
        finally:
            meta.update(ctx.meta)


def _report(exc: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(exc)
    click.echo(f"error: {_one_line(_describe(exc))}", err=True)
    return 2 if isinstance(exc, click.UsageError | errors.UsageError) else 1


def _describe(exc: Exception) -> str:
    if isinstance(exc, click.UsageError):
        path = exc.ctx.command_path if exc.ctx else "llada"
        return f"{exc.format_message().rstrip('.')}; see {path} --help"
    if isinstance(exc, click.ClickException):
        return exc.format_message()
    if isinstance(exc, errors.LladaError):
        return str(exc)
    return f"{exc} ({type(exc).__name__}; run again with --debug to see where)"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    click.echo(f"warning: {_one_line(str(message))}", err=True)


def _drop_output() -> int:
    """Leave stdout nowhere to fail when Python flushes it on exit: the reader has all that it wanted."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
