"""Settings side by side: a table of their figures, and where their answers begin to differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import click

from llada_core.cli.output import as_typed, note
from llada_core.cli.runs import Run
from llada_core.cli.settings import common
from llada_core.cli.streams import columns_of, line_of
from llada_core.cli.tables import Column, table

__all__ = ["print_comparison", "same_as_first", "summary"]

_HEADINGS = ("tokens", "NFE", "tokens/forward", "seconds", "tokens/s", "answer")
_SHORT = {"tokens/forward": "tok/fwd", "seconds": "s", "tokens/s": "tok/s"}
_ROOM = 90  # columns of a terminal from which headings are written out
_AROUND = 30  # characters of an answer that are shown on from where it differs


def print_comparison(runs: Sequence[Run], *, rows: int) -> None:
    """The table of the settings on stderr, what holds for all of them, and how their answers differ."""
    width = columns_of(sys.stderr)
    short = width is not None and width < _ROOM
    headings = [_SHORT.get(name, name) if short else name for name in _HEADINGS]
    columns = [Column(heading="setting", wraps=True), *(Column(heading=h, right=True) for h in headings)]
    cells = [[run.label, *_figures(run), _answer(run, runs)] for run in runs]
    click.echo("", err=True)
    for line in table(columns, cells, width=width):
        click.echo(line, err=True)
    for line in (*_differences(runs), _conditions(runs, rows)):
        note(line)


def summary(run: Run) -> str:
    """The figures of a run over many prompts in one line."""
    tokens, nfe, per_forward, seconds, per_second = _figures(run)
    told = [f"{len(run.results)} answers"]
    told += [f"{len(run.errors)} failed"] if run.errors else []
    if run.results:
        told += [f"NFE {nfe}", f"{tokens} tokens", f"{per_forward} tokens/forward", f"{seconds} s"]
        told += [f"{per_second} tokens/s", f"{run.results[0].algorithm} ({run.results[0].engine})"]
    return " · ".join(told)


def _figures(run: Run) -> tuple[str, ...]:
    if not run.results:
        return ("-",) * 5
    return (
        str(run.tokens),
        str(run.nfe),
        f"{run.tokens / run.nfe:.2f}" if run.nfe else "-",
        f"{run.seconds:.2f}",
        f"{run.tokens / run.seconds:.1f}" if run.seconds else "-",
    )


def _answer(run: Run, runs: Sequence[Run]) -> str:
    """Of one prompt, a letter that equal answers share; of many, how many are as the first setting's."""
    if not run.results:
        return "failed"
    if len(run.outcomes) == 1:
        return _letters(runs)[run.results[0].text]
    return f"{sum(same_as_first(run, runs))}/{len(run.outcomes)}"


def same_as_first(run: Run, runs: Sequence[Run]) -> Iterator[bool]:
    """Of each prompt so far, whether the answer is that of the first setting that answered any."""
    for mine, first in zip(run.outcomes, _reference(runs).outcomes, strict=False):
        yield bool(mine.result and first.result and mine.result.text == first.result.text)


def _reference(runs: Sequence[Run]) -> Run:
    return next((run for run in runs if run.results), runs[0])


def _letters(runs: Sequence[Run]) -> dict[str, str]:
    texts = dict.fromkeys(result.text for run in runs for result in run.results)
    return {text: _letter(number) for number, text in enumerate(texts)}


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    """Where each other answer to a single prompt leaves the first one."""
    if len(runs[0].outcomes) > 1:
        count, reference = len(runs[0].outcomes), _reference(runs).label
        yield f"answer: how many of {count} are word for word those of {reference}"
        return
    letters = _letters(runs)
    first, *others = letters or [""]
    for text in others:
        pairs = enumerate(zip_longest(first, text))
        at = next(position for position, (one, other) in pairs if one != other)
        yield (
            f"answer {letters[text]} differs from {letters[first]} at character {at + 1}: "
            f"{_excerpt(text, at)} for {_excerpt(first, at)}"
        )


def _excerpt(text: str, at: int) -> str:
    if at >= len(text):
        return "its end"
    return f'"{line_of(text[at : at + _AROUND])}{"…" if len(text) > at + _AROUND else ""}"'


def _conditions(runs: Sequence[Run], rows: int) -> str:
    alike = [f"{name}={as_typed(value)}" for name, value in common([run.setting for run in runs]).items()]
    prompts = len(runs[0].outcomes)
    together = f", up to {min(rows, prompts)} prompts a forward" if prompts > 1 else ""
    with_them = f"; all with {' '.join(alike)}" if alike else ""
    return f"each setting ran alone{_warming(runs)}{together}{with_them}"


def _warming(runs: Sequence[Run]) -> str:
    """Which settings ran some steps before they were measured: what has no steps would run twice."""
    cold = [run.label for run in runs if not run.warmed_up]
    if len(cold) == len(runs):
        return ", without warming up: their answers come all at once"
    which = f" ({', '.join(cold)}: none, as the answer comes all at once)" if cold else ""
    return f", after a few steps to warm up{which}"
