"""What is to be known of the figures of ``bench`` beside them, on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from llada_core.bench.memory import why_no_peak
from llada_core.cli.bench_tables import trial_name
from llada_core.cli.bench_trials import Method, Trial
from llada_core.cli.output import note
from llada_core.cli.streams import line_of

__all__ = ["remark"]

_ENOUGH = 4  # questions a row, so that the end of a round is a small part of it


def remark(trials: Sequence[Trial], method: Method, about: Mapping[str, Any]) -> None:
    """What the algorithms warn of, rows that waited or ran out of questions, answers that their length cut,
    and memory that is not told."""
    for trial in trials:
        name = trial_name(trial, trials)
        for warning in trial.warnings:
            click.echo(f"warning: {name}: {line_of(warning)}", err=True)
        for told in (trial.waited, trial.cut):
            if told is not None:
                note(f"{name}: {told}")
    for rows in dict.fromkeys(trial.case.rows for trial in trials if trial.samples):
        if rows > 1 and method.asked(rows) < _ENOUGH * rows:
            note(_too_few(method.asked(rows), rows))
    if about["device"] == "cpu" and (reason := why_no_peak()):
        note(f"peak memory is not told: {reason}")


def _too_few(asked: int, rows: int) -> str:
    return (
        f"batch {rows}: {asked} answers a round are few, and rows that end late run with fewer beside them; "
        f"see rows in flight, or ask {_ENOUGH * rows} or more"
    )
