"""How results look: answers and JSON on stdout, all that is said about them on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from llada_core.cli.diversion import stdout
from llada_core.cli.streams import columns_of, holds, line_of, printable, write
from llada_core.cli.tables import Column, table, wrapped
from llada_core.generation.results import GenerationResult

__all__ = [
    "as_typed",
    "availability",
    "figures",
    "note",
    "print_figures",
    "print_json",
    "print_line",
    "print_table",
    "print_warnings",
]


def print_json(value: object, *, indent: int | None = 2) -> None:
    """``value`` on stdout; in ASCII where stdout's encoding lacks a character of it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    write((text if holds(text) else json.dumps(value, indent=indent)) + "\n")


def print_line(text: str) -> None:
    """A line on stdout, in which no terminal finds a control sequence."""
    write(printable(text) + "\n")


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, as wide as the terminal; every row is one line where there is none."""
    for line in table(columns, rows, width=columns_of(stdout())):
        write(line + "\n")


def note(text: str) -> None:
    """Lines on stderr; dim on a terminal, and broken between words where they are longer than it is wide."""
    width = columns_of(sys.stderr)
    for line in printable(text).split("\n"):
        for part in [line] if width is None or len(line) <= width else wrapped(line, width):
            click.secho(part, dim=True, err=True)


def availability(reason: str | None) -> str:
    """A cell that says whether something can run, and if not, why."""
    return "yes" if reason is None else f"no: {reason}"


def as_typed(value: object) -> str:
    """A parameter's value as one writes it after ``-p name=``."""
    return str(value) if isinstance(value, str) else json.dumps(value).replace("null", "none")


def figures(result: GenerationResult) -> str:
    """The figures of a result in one line."""
    return " · ".join(
        (
            f"NFE {result.nfe}",
            f"{result.completion_tokens} tokens",
            f"{result.tokens_per_forward:.2f} tokens/forward",
            f"{result.seconds:.2f} s",
            f"{result.tokens_per_second:.1f} tokens/s",
            f"{result.algorithm} ({result.engine})",
            result.finish_reason,
        )
    )


def print_figures(result: GenerationResult) -> None:
    """The figures on stderr, dim on a terminal."""
    note(figures(result))


def print_warnings(result: GenerationResult, *, of: str = "") -> None:
    """What the algorithm tells of the answer, on stderr, a line each; ``of`` says which answer it is."""
    for warning in result.warnings:
        click.echo(f"warning: {of}{line_of(warning)}", err=True)
