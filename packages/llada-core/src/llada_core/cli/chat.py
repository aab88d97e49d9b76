"""The command ``chat``: turns of a conversation, on a terminal or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click

from llada_core.cli.conversation import Conversation
from llada_core.cli.diversion import stdout, stdout_given_back
from llada_core.cli.opening import opened_model
from llada_core.cli.options import (
    ModelChoice,
    decoding_options,
    given_parameters,
    model_options,
    output_options,
)
from llada_core.cli.output import note, print_figures, print_json, print_warnings
from llada_core.cli.reporting import report, tracebacks_wanted
from llada_core.cli.settings import Setting
from llada_core.cli.streams import check_text, decoded, stdin_lines, write
from llada_core.errors import UsageError
from llada_core.faults import fault_of
from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step
from llada_core.imports import load_target
from llada_core.names import closest

__all__ = ["chat"]

_HELP = """\
/algorithm NAME   decode the next turns with it; without NAME, with the default
/set NAME=VALUE   set a parameter
/unset NAME       leave a parameter out
/settings         say what you talk to, and how it decodes
/reset            forget the turns
/exit             end the conversation
"""
_KEYS = "Ctrl-C stops an answer; at the prompt, a second one ends the conversation, as Ctrl-D does"
_HALF_A_CHARACTER = "\ufffd"


@click.command()
@model_options
@click.option("--algorithm", metavar="NAME", help="Default: LLADA_ALGORITHM, or the engine's.")
@decoding_options("A parameter of the algorithm; repeatable. llada algorithms NAME shows what one takes.")
@click.option("--system", metavar="TEXT", help="What the model is told before the first turn.")
@output_options
def chat(
    algorithm: str | None,
    assignments: tuple[str, ...],
    max_tokens: int | None,
    seed: int | None,
    system: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Talk with a model, turn by turn, until /exit or the end of the input. /help lists what else there is.

    Ctrl-C stops an answer. At the prompt it discards what is typed, and a second one ends the conversation.
    With --json, each answer is one line.
    """
    parameters = given_parameters(assignments, max_tokens, seed)
    told = None if system is None else check_text(system, "--system")
    with opened_model(ModelChoice.of(given), [Setting(algorithm=algorithm, parameters=parameters)]) as lm:
        conversation = Conversation(model=lm, algorithm=algorithm, parameters=parameters, system=told)
        if _is_terminal(sys.stdin):
            note(f"{conversation.describe()}\n/help lists the commands. {_KEYS}.")
        for line in filter(None, map(str.strip, _lines())):
            if line == "/exit":
                break
            _guarded(lambda text: _take(conversation, text, as_json=as_json), line)


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def _lines() -> Iterator[str]:
    """What the user types, until the input ends."""
    return _prompted() if _is_terminal(sys.stdin) else stdin_lines()


def _prompted() -> Iterator[str]:
    """Lines asked for on a terminal; a first Ctrl-C does not end them."""
    with suppress(ImportError):
        load_target("readline:__name__")  # importing it gives input() its line editing
    interrupted = False
    while True:
        try:
            yield _asked()
            interrupted = False
        except EOFError:
            click.echo("", err=True)
            return
        except KeyboardInterrupt:
            click.echo("", err=True)
            if interrupted:
                return
            interrupted = True
            note("again, Ctrl-D or /exit ends the conversation")


def _asked() -> str:
    """One line. The prompt is on stderr where stdout, which holds answers, is no terminal."""
    shows = _is_terminal(stdout())
    if not shows:
        click.echo("> ", nl=False, err=True)
    try:
        with stdout_given_back():
            return input("> " if shows else "")
    except UnicodeDecodeError as exc:
        return decoded(exc.object, exc.encoding)  # the turn says what is wrong with it


def _guarded(action: Callable[[str], None], line: str) -> None:
    """Run one turn; whatever is wrong with it, or Ctrl-C, ends the turn and not the conversation."""
    try:
        action(line)
    except KeyboardInterrupt:
        click.echo("\nstopped; this turn is forgotten", err=True)
    except (BrokenPipeError, click.ClickException, SystemExit, GeneratorExit):  # nobody reads on
        raise
    except BaseException as exc:  # an algorithm may raise anything
        fault_of(exc)  # an interrupt goes on
        report(exc, debug=tracebacks_wanted())


def _take(conversation: Conversation, line: str, *, as_json: bool) -> None:
    check_text(line, "this line", getattr(sys.stdin, "encoding", None))
    if line.startswith("/"):
        note(_command(conversation, line))
        return
    steps = conversation.reply(line)
    if as_json:
        result = _result(steps)
        print_json(result.as_dict(), indent=None)
    else:
        result = _print_as_it_settles(steps) if _is_terminal(stdout()) else _print(_result(steps))
    print_warnings(result)
    if not as_json:
        print_figures(result)


def _command(conversation: Conversation, line: str) -> str:
    name, _, argument = line.partition(" ")
    commands: dict[str, Callable[[str], str]] = {
        "/algorithm": conversation.choose_algorithm,
        "/set": conversation.set_parameter,
        "/unset": conversation.unset_parameter,
        "/settings": conversation.describe,
        "/reset": conversation.reset,
        "/help": lambda _: _HELP + _KEYS,
    }
    if name not in commands:
        near = closest(name, (*commands, "/exit"))
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no command {name}; {hint}/help lists them all")
    return commands[name](argument.strip())


def _result(steps: Iterator[Step]) -> GenerationResult:
    *_, last = steps
    assert last.result is not None
    return last.result


def _print(result: GenerationResult) -> GenerationResult:
    write(result.text + "\n")
    return result


def _print_as_it_settles(steps: Iterator[Step]) -> GenerationResult:
    """Print the answer's text as soon as no mask stands before it; anew where an algorithm takes it back."""
    printed = ""
    result: GenerationResult | None = None
    try:
        for step in steps:
            result = step.result
            text = result.text if result else step.ticket.text.rstrip(_HALF_A_CHARACTER)
            if text.startswith(printed):
                write(text[len(printed) :])
                printed = text
    except BaseException:
        write("\n" if printed else "")
        raise
    assert result is not None
    write("\n" if result.text == printed else f"\n{result.text}\n")
    return result
