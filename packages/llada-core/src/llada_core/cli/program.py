"""The program ``llada``: which commands there are, and with what exit status they end.

Exit status: 2 where the call is wrong, 1 for other errors, 130 after Ctrl-C, 141 where the reader of stdout
has left.
"""

from __future__ import annotations

import copy
import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from click.shell_completion import shell_complete

from llada_core import __version__, registry
from llada_core.checkpoints.embedded import embedded_names
from llada_core.checkpoints.places import surely_a_model
from llada_core.cli.diversion import answers_alone, divert_the_rest
from llada_core.cli.reporting import DEBUG, report, show_warning, status_of
from llada_core.cli.streams import check_stdout, drop_stdout, line_of, tolerant_stdout
from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.names import closest
from llada_core.plugins.requirements import remedy_of
from llada_core.plugins.specs import CommandSpec

__all__ = ["COMMANDS", "Program", "main", "run"]

_CLI = "llada_core.cli"
_COMPLETE = "_LLADA_COMPLETE"
_THEIRS = "llada_core.theirs"  # set where the command that is run is a plugin's
COMMANDS = (
    CommandSpec(
        name="plugins", target=f"{_CLI}.listing:plugins", summary="List the plugins and what became of each."
    ),
    CommandSpec(
        name="engines", target=f"{_CLI}.listing:engines", summary="List the engines, or tell all of one."
    ),
    CommandSpec(
        name="algorithms",
        target=f"{_CLI}.listing:algorithms",
        summary="List the algorithms, or tell what one takes.",
    ),
    CommandSpec(
        name="parts",
        target=f"{_CLI}.listing:parts",
        summary="List the rules and policies, or tell what one takes.",
    ),
    CommandSpec(name="detect", target=f"{_CLI}.listing:detect", summary="Say which engine takes a model."),
    CommandSpec(
        name="generate",
        target=f"{_CLI}.generate:generate",
        summary="Answer a prompt or many, and compare settings.",
    ),
    CommandSpec(name="chat", target=f"{_CLI}.chat:chat", summary="Talk with a model, turn by turn."),
    CommandSpec(name="infill", target=f"{_CLI}.infill:infill", summary="Fill the blanks of a text."),
    CommandSpec(
        name="score",
        target=f"{_CLI}.infill:score",
        summary="Say how probable texts are in a blank.",
    ),
    CommandSpec(
        name="bench",
        target=f"{_CLI}.bench:bench",
        summary="Measure algorithms: speed, forwards, memory, accuracy.",
    ),
    CommandSpec(
        name="check", target=f"{_CLI}.check:check", summary="Check whether a plugin keeps its contract."
    ),
    CommandSpec(
        name="convert",
        target=f"{_CLI}.convert:convert",
        summary="Write a trainer's checkpoint in the Hugging Face layout.",
    ),
    CommandSpec(
        name="doctor",
        target=f"{_CLI}.doctor:doctor",
        summary="Say what runs here, what does not, and what fits.",
    ),
)


class Program(click.Group):
    """A group whose commands are imported when they are run; those of plugins stand beside our own.

    Each command takes the program's options too.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._specs())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = {spec.name: spec for spec in COMMANDS}
        # Plugins are asked only for a name that is not ours: a broken one cannot disturb `llada doctor`.
        spec = own.get(name) or self._specs().get(name)
        if spec is None:
            return None
        command = _with_options_of_the_program(_load_command(spec))
        if name in own:  # to a command of a plugin, stdout is its own
            command.callback = _with_answers_alone(command.callback)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing and not name.startswith("-"):
            raise click.UsageError(f"no command is called {name!r}{self._advice(name)}", ctx)
        if command is not None:
            return name, command, args[1:]
        return super().resolve_command(ctx, args)

    def _advice(self, name: str) -> str:
        missing = registry.shared().missing_command(name)
        near = closest(name, self._specs())
        if missing is not None:
            return f" here: {missing}"
        return f"; did you mean {near[0]}?" if near else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(spec.name, line_of(spec.summary)) for spec in self._specs().values()])

    def _specs(self) -> dict[str, CommandSpec]:
        with answers_alone():  # a plugin may print while it is loaded
            contributed = registry.list_commands()
        return {spec.name: spec for spec in (*COMMANDS, *contributed)}


def _load_command(spec: CommandSpec) -> click.Command:
    try:
        command = load_target(spec.target)
    except BaseException as exc:  # a plugin's module may raise anything
        told = one_line(fault_of(exc))
        owner = registry.shared().command_owner(spec.name) or "llada-core"
        remedy = remedy_of(exc, spec.target, owner, otherwise="mend its plugin")
        message = f"the command {spec.name} cannot be imported from {spec.target} ({told}); {remedy}"
        raise click.ClickException(message) from exc
    if not isinstance(command, click.Command):
        message = f"{spec.target} of the command {spec.name} is not a click command; mend its plugin"
        raise click.ClickException(message)
    return command


def _with_options_of_the_program(command: click.Command) -> click.Command:
    """The command, and the commands of a group, with the program's options where a name of them is free."""
    taken = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    extended = copy.copy(command)
    # A class below each command's own would do the same; mypy knows no methods of one object.
    extended.parse_args = _with_errors_of_its_own(extended.parse_args)  # type: ignore[assignment, method-assign]
    extended.params = [*command.params, *(each for each in program.params if taken.isdisjoint(each.opts))]
    if isinstance(extended, click.Group):
        extended.commands = {
            name: _with_options_of_the_program(each) for name, each in extended.commands.items()
        }
    return extended


_Parse = Callable[[click.Context, list[str]], list[str]]


def _with_errors_of_its_own(parse: _Parse) -> _Parse:
    """Let what is wrong about a call point to this command's help: of an option with too few values, click's
    parser does not say which command it is of."""

    def parse_args(ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)  # the parser takes them away
        try:
            return parse(ctx, args)
        except click.UsageError as exc:
            exc.ctx = exc.ctx or ctx
            model = _misplaced_model(ctx, given) if type(exc) is click.UsageError else None
            if model is None:
                raise
            message = f"{model} names a model, which is no argument here; give --model {model}"
            raise click.UsageError(message, ctx) from exc

    return parse_args


def _misplaced_model(ctx: click.Context, args: list[str]) -> str | None:
    """What names a model among the arguments of a call with one too many, where an option is to name it."""
    params = ctx.command.params
    arguments = [each.name or "" for each in params if isinstance(each, click.Argument)]
    if "model" in arguments or not any("--model" in each.opts for each in params):
        return None
    values, extra, _ = ctx.command.make_parser(ctx).parse_args(args=args)
    if not extra:
        return None
    wheels = [value for name in arguments if (value := values.get(name)) in embedded_names()]
    # Among words of a prompt 3/4 is no hub id.
    return next((word for word in (*wheels, *extra) if surely_a_model(word, hub=not arguments)), None)


def _with_answers_alone(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    assert callback is not None

    @functools.wraps(callback)
    def alone(*args: Any, **values: Any) -> Any:
        with answers_alone():
            return callback(*args, **values)

    return alone


def _want_tracebacks(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True


@click.command(
    cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--debug", is_flag=True, expose_value=False, callback=_want_tracebacks, help="Show tracebacks.")
@click.version_option(__version__, prog_name="llada")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Diffusion language models: engines, algorithms, and answers.

    The options are taken after a command too.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand in {spec.name for spec in COMMANDS}:
        check_stdout()
    else:
        ctx.meta[_THEIRS] = True


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run ``llada`` with ``args`` (default: those of the process) and exit."""
    meta: dict[str, object] = {}
    if instruction := os.environ.get(_COMPLETE):
        status: int = shell_complete(program, {}, "llada", _COMPLETE, instruction)
    else:
        status = _run(sys.argv[1:] if args is None else args, meta)
    if not meta.get(_THEIRS):
        divert_the_rest()
    sys.exit(status)


def run(args: Sequence[str]) -> int:
    """The exit status of ``llada`` with ``args``; errors are on stderr, and nothing but an exit is raised."""
    return _run(args, {})


def _run(args: Sequence[str], meta: dict[str, object]) -> int:
    """The same; ``meta`` takes in what the command was found to be."""
    try:
        with warnings.catch_warnings(), tolerant_stdout():
            warnings.showwarning = show_warning
            _invoke(list(args), meta)
            if sys.stdout is not None:
                sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:  # the reader has all that it wanted
        drop_stdout()
        return 141
    except (KeyboardInterrupt, click.Abort):
        return 130
    except SystemExit:  # a command of a plugin may end the program as it likes
        raise
    except BaseException as exc:  # the last line of defence: a user never sees a traceback unasked
        fault_of(exc)  # an interrupt goes on
        report(exc, debug=bool(meta.get(DEBUG)))
        _flush_or_drop()
        return status_of(exc)
    return 0


def _invoke(args: list[str], meta: dict[str, object]) -> None:
    with program.make_context("llada", args) as ctx:
        try:
            program.invoke(ctx)
        finally:
            meta.update(ctx.meta)


def _flush_or_drop() -> None:
    """Write what stdout still holds; where that cannot be, let it go instead of failing on exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        drop_stdout()
