"""The command ``generate``: a prompt or many, answered with one setting or with several, to compare them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from llada_core.cli.answers import Answers
from llada_core.cli.comparison import print_comparison, summary
from llada_core.cli.opening import opened_model
from llada_core.cli.options import ModelChoice, model_options, output_options
from llada_core.cli.output import note
from llada_core.cli.progress import busy_bar, prompts_bar
from llada_core.cli.prompts import Entry, prompt_of_call, prompts_of_file
from llada_core.cli.runs import Run, warm_up
from llada_core.cli.settings import SettingsCommand, labels, settings_of, settings_options
from llada_core.errors import UsageError
from llada_core.generation.execution import ROWS
from llada_core.loading import LoadedModel

__all__ = ["generate"]

_EXAMPLE = """\b
llada generate "What is 12 + 30?" --max-tokens 64 \\
    --algorithm dual_cache -p threshold=0.5 \\
    --algorithm dual_cache -p threshold=0.9 --algorithm basic
"""


@click.command(cls=SettingsCommand, epilog=_EXAMPLE)
@click.argument("prompt", required=False)
@click.option(
    "--prompts",
    "file",
    metavar="FILE",
    help="Answer the prompts of a file (- is stdin): text, one a line, or JSON lines of prompt or messages.",
)
@model_options
@settings_options
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=ROWS,
    metavar="N",
    show_default=True,
    help="Prompts of a file that share a forward, at most.",
)
@click.option("--raw", is_flag=True, help="Take prompts as they stand, without the chat template.")
@click.option("--live", is_flag=True, help="Show the canvas filling, on a terminal; its seconds count.")
@output_options
@click.pass_context
def generate(
    ctx: click.Context,
    /,
    prompt: str | None,
    file: str | None,
    rows: int,
    raw: bool,
    live: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Answer PROMPT (- reads it from stdin), or the prompts of a file.

    Answers go to stdout, figures to stderr. Given --algorithm several times, the settings run one after the
    other, each alone, and their figures stand in one table. --max-tokens and --seed hold for all.

    The exit status is 1 where one of several prompts or settings gave no answer; the others are written.
    """
    entries = _entries(ctx, prompt, file, live)
    settings = settings_of(ctx)
    runs = [Run(setting=each, label=label) for each, label in zip(settings, labels(settings), strict=True)]
    answers = Answers(runs, as_json=as_json, from_file=file is not None)
    with opened_model(ModelChoice.of(given), settings) as lm:
        _answer(lm, entries, runs, answers, rows=rows, raw=raw, live=live)
    _conclude(ctx, runs, rows=rows, from_file=file is not None)


def _entries(ctx: click.Context, prompt: str | None, file: str | None, live: bool) -> list[Entry]:
    if prompt is not None and file is not None:
        raise UsageError("a prompt and --prompts are both given; give one of them")
    if live and file is not None:
        raise UsageError("--live shows one answer at a time; leave it out with --prompts")
    if file is not None:
        return prompts_of_file(file)
    if prompt is None:
        raise click.UsageError("Missing argument 'PROMPT'; give it, or --prompts FILE", ctx)
    return [prompt_of_call(prompt)]


def _answer(
    lm: LoadedModel,
    entries: Sequence[Entry],
    runs: Sequence[Run],
    answers: Answers,
    *,
    rows: int,
    raw: bool,
    live: bool,
) -> None:
    """Run each setting alone, so that its seconds are its own."""
    if len(runs) > 1:
        with busy_bar("Warming up"):
            warm_up(lm, runs, entries[0], raw=raw)
    watched = live and sys.stderr is not None and sys.stderr.isatty()
    try:
        for run in runs:
            with prompts_bar(run.label if len(runs) > 1 else "Answering", len(entries)) as bar:
                seen = run.watch(lm, entries[0], raw=raw)
                for outcome in seen if watched else run.decode(lm, entries, rows=rows, raw=raw, bar=bar):
                    with bar.away():
                        answers.take(run, outcome)
    finally:  # Ctrl-C, too: what there is is not lost
        answers.end()


def _conclude(ctx: click.Context, runs: Sequence[Run], *, rows: int, from_file: bool) -> None:
    """Say what all of it took, and exit with 1 where an answer is missing."""
    if len(runs) > 1:
        print_comparison(runs, rows=rows)
    elif from_file:
        note(summary(runs[0]))
    if any(run.errors for run in runs):
        ctx.exit(1)
