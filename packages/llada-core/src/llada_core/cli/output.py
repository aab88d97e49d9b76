"""How results look on a terminal and in JSON. rich is imported for tables only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from llada_core.generation.results import GenerationResult
from llada_core.imports import load_target

__all__ = ["availability", "figures", "print_figures", "print_json", "print_table", "print_warnings"]

_WIDE = 10_000  # columns of a table that no terminal wraps


def print_json(value: object) -> None:
    """``value`` on stdout, indented."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | None]], *, empty: str) -> None:
    """A table on stdout, or the line ``empty`` where it has no rows. Only a terminal folds long cells."""
    listed = [[cell or "" for cell in row] for row in rows]
    if not listed:
        click.echo(empty)
        return
    table = load_target("rich.table:Table")(
        box=load_target("rich.box:SIMPLE_HEAD"), pad_edge=False, show_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*map(load_target("rich.text:Text"), row))
    width = None if sys.stdout.isatty() else _WIDE
    load_target("rich.console:Console")(width=width).print(table)


def availability(reason: str | None) -> str:
    """A cell that says whether something can run, and if not, why."""
    return "yes" if reason is None else f"no: {reason}"


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
    """The figures on stdout, dim on a terminal."""
    click.secho(figures(result), dim=True)


def print_warnings(result: GenerationResult) -> None:
    """What the algorithm tells of the answer, on stderr, a line each."""
    for warning in result.warnings:
        click.echo(f"warning: {' '.join(warning.split())}", err=True)
