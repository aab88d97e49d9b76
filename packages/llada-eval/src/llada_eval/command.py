"""The command ``eval``: lm-evaluation-harness' own command line, with the model ``llada`` and our tasks."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from lm_eval._cli import HarnessCLI
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.utils import setup_logging

from llada_eval.registering import MODEL, TASKS, register

__all__ = ["evaluate", "run"]

# What stands for the model llada where neither the call nor its --config says anything: the harness' own
# defaults are one row at a time, and the first GPU, be there one or not.
_DEFAULTS = {"batch_size": "auto", "device": "auto"}


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS OF LM-EVAL]")
def evaluate(arguments: Sequence[str]) -> None:
    """Run lm-evaluation-harness with these ARGUMENTS: ``run`` (or nothing), ``ls`` or ``validate``, and what
    these take. The model is ``llada``, where --model names no other."""
    run(arguments)


def run(arguments: Sequence[str]) -> None:
    """Hand the arguments to the command line of lm-eval, which knows the model ``llada`` and our tasks then.

    Raises what that raises, ``SystemExit`` among it.
    """
    register()
    with _called_with(arguments):
        setup_logging()
        program = HarnessCLI()
        given = program.parse_args()
        if hasattr(given, "include_path"):
            _complete(given)
        program.execute(given)


@contextmanager
def _called_with(arguments: Sequence[str]) -> Iterator[None]:
    """The harness reads the arguments of the process."""
    kept, sys.argv = sys.argv, ["llada eval", *arguments]
    try:
        yield
    finally:
        sys.argv = kept


def _complete(given: Namespace) -> None:
    """Add our tasks to those that are included, and the defaults to what is said of a run."""
    config = getattr(given, "config", None)
    said: dict[str, Any] = {} if config is None else EvaluatorConfig.load_yaml_config(config)
    theirs = given.include_path or said.get("include_path")
    given.include_path = [TASKS, *([] if theirs is None else _folders(theirs))]
    if given.command != "run":
        return
    given.model = given.model or said.get("model", MODEL)
    for name, value in _DEFAULTS.items() if given.model == MODEL else ():
        if getattr(given, name, None) is None and name not in said:
            setattr(given, name, value)


def _folders(included: str | list[str]) -> list[Path]:
    return [Path(each) for each in ([included] if isinstance(included, str) else included)]
