"""The command ``chat``: turns of a conversation, on a terminal or through a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import click

from llada_core.cli.opening import opened_model
from llada_core.cli.options import (
    ModelChoice,
    decoding_options,
    model_options,
    output_options,
    parameters_of,
)
from llada_core.cli.output import print_figures, print_warnings
from llada_core.errors import LladaError, UsageError
from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step
from llada_core.imports import load_target
from llada_core.loading import LoadedModel
from llada_core.parameters import parse_assignments

__all__ = ["Conversation", "chat"]

_HELP = "/algorithm NAME, /set NAME=VALUE, /reset (forget the turns), /exit"
_HALF_A_CHARACTER = "\ufffd"


@dataclass(slots=True, kw_only=True)
class Conversation:
    """The turns so far and how the next one is to be decoded."""

    model: LoadedModel
    algorithm: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    system: str | None = None
    turns: list[dict[str, str]] = field(default_factory=list)

    def reply(self, text: str) -> Iterator[Step]:
        """The steps of the answer to ``text``. Both join the turns once the answer is complete."""
        turns = [*self.turns, {"role": "user", "content": text}]
        system = [{"role": "system", "content": self.system}] if self.system else []
        stream = self.model.stream([*system, *turns], algorithm=self.algorithm, **self.parameters)
        with closing(stream):
            for step in stream:
                if step.result is not None:
                    self.turns = [*turns, {"role": "assistant", "content": step.result.text}]
                yield step

    def choose_algorithm(self, name: str) -> str:
        """Decode the next turns with the algorithm of this name; what changed, in words."""
        algorithm = self.model.algorithm(name)
        algorithm.validate_args(**self.parameters)
        self.algorithm = algorithm.name
        return f"algorithm {algorithm.name}"

    def set_parameter(self, assignment: str) -> str:
        """Take over ``name=value`` for the next turns; what changed, in words."""
        algorithm = self.model.algorithm(self.algorithm)
        given = parse_assignments([assignment])
        spellings = {name: p.names for p in algorithm.parameters for name in p.names}
        replaced = {spelling for name in given for spelling in spellings.get(name, ())}
        kept = {name: value for name, value in self.parameters.items() if name not in replaced}
        algorithm.validate_args(**kept, **given)
        self.parameters = {**kept, **given}
        return ", ".join(f"{name}={value}" for name, value in self.parameters.items())

    def reset(self, _: str) -> str:
        """Forget the turns; what changed, in words."""
        self.turns = []
        return "a new conversation"


@click.command()
@model_options
@click.option("--algorithm", metavar="NAME", help="Default: LLADA_ALGORITHM, or the engine's.")
@decoding_options
@click.option("--system", metavar="TEXT", help="What the model is told before the first turn.")
@output_options
def chat(
    algorithm: str | None,
    assignments: tuple[str, ...],
    max_tokens: int | None,
    seed: int | None,
    system: str | None,
    as_json: bool,
    **model: Any,
) -> None:
    """Talk with a model, turn by turn, until /exit or the end of the input. /help lists what else there is.

    With --json, each answer is one line.
    """
    parameters = parameters_of(assignments, max_tokens, seed)
    with opened_model(ModelChoice(**model), [algorithm] if algorithm else [], parameters) as lm:
        conversation = Conversation(model=lm, algorithm=algorithm, parameters=parameters, system=system)
        for line in _lines():
            if line == "/exit":
                break
            _guarded(lambda text: _take(conversation, text, as_json=as_json), line)


def _lines() -> Iterator[str]:
    """What the user types, blank lines left out, until the input ends."""
    if not sys.stdin.isatty():
        yield from filter(None, map(str.strip, sys.stdin))
        return
    with suppress(ImportError):
        load_target("readline:__name__")  # importing it gives input() its line editing
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            click.echo()
            return
        if line:
            yield line


def _guarded(action: Callable[[str], None], line: str) -> None:
    """Run one turn; what is wrong with it, or Ctrl-C, ends the turn and not the conversation."""
    try:
        action(line)
    except LladaError as exc:
        click.echo(f"error: {' '.join(str(exc).split())}", err=True)
    except KeyboardInterrupt:
        click.echo("\nstopped", err=True)


def _take(conversation: Conversation, line: str, *, as_json: bool) -> None:
    if line.startswith("/"):
        click.secho(_command(conversation, line), dim=True, err=True)
    elif as_json:
        *_, last = conversation.reply(line)
        assert last.result is not None
        click.echo(json.dumps(last.result.as_dict(), ensure_ascii=False))
    else:
        result = _print_as_it_settles(conversation.reply(line))
        print_figures(result)
        print_warnings(result)


def _command(conversation: Conversation, line: str) -> str:
    name, _, argument = line.partition(" ")
    commands: dict[str, Callable[[str], str]] = {
        "/algorithm": conversation.choose_algorithm,
        "/set": conversation.set_parameter,
        "/reset": conversation.reset,
        "/help": lambda _: _HELP,
    }
    if name not in commands:
        raise UsageError(f"there is no command {name}; give {_HELP}")
    return commands[name](argument.strip())


def _print_as_it_settles(steps: Iterator[Step]) -> GenerationResult:
    """Print the answer's text as soon as no mask stands before it."""
    shown = ""
    result: GenerationResult | None = None
    for step in steps:
        result = step.result
        text = result.text if result else step.ticket.text.rstrip(_HALF_A_CHARACTER)
        if text.startswith(shown):
            click.echo(text[len(shown) :], nl=False)
            shown = text
    click.echo()
    assert result is not None
    return result
