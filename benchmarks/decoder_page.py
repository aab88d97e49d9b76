"""The page that compares the decoders: its tables and pictures, made of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from decoder_rows import Row, Run, tenth
from decoder_settings import SERIES

from llada_core.bench import Interval, front, plot
from llada_core.cli.output import as_typed

__all__ = ["DOCS", "about", "enclosed", "files", "table", "with_figures"]

DOCS = Path(__file__).parents[1] / "docs"
_PICTURES = {"": "Accuracy against tokens per forward", "-columns": "Accuracy against columns per token"}


def files(run: Run, name: str) -> dict[str, Callable[[Path], object]]:
    """What is written of a run, by the names of the files: its figures, two pictures, and the page with the
    run's table between the marks of ``name``."""
    page = (DOCS / "decoders.md").read_text()
    up = "exact answers, %"
    return {
        f"{name}.svg": lambda path: plot(
            [row.by_forwards for row in run.rows],
            path,
            across="answer tokens per forward",
            up=up,
            scale="log",
            named="front",
            series=[*SERIES.values()],
        ),
        f"{name}-columns.svg": lambda path: plot(
            [row.by_columns for row in run.rows],
            path,
            across="columns computed per answer token (less to the right)",
            up=up,
            scale="cost",
            named="front",
            series=[*SERIES.values()],
        ),
        f"{name}.json": run.write,
        "decoders.md": lambda path: path.write_text(with_figures(page, run, name)),
    }


def with_figures(page: str, run: Run, name: str) -> str:
    """The page with the run between the marks of ``name``. Raises ``ValueError`` for a page without them."""
    begin, end = (f"<!-- {name}: {word} -->" for word in ("begin", "end"))
    before, rest = page.split(begin)
    shown = "\n\n".join(f"![{told}]({name}{which}.svg)" for which, told in _PICTURES.items())
    return f"{before}{begin}\n\n{about(run)}\n\n{shown}\n\n{table(run)}\n{end}{rest.split(end)[1]}"


def about(run: Run) -> str:
    """On what and how it was measured, in a sentence."""
    told = run.about
    reasons = {why: [name for name, its in run.failed.items() if its == why] for why in run.failed.values()}
    failed = "".join(f" Not measured: {', '.join(names)} ({why})." for why, names in reasons.items())
    beside = "" if told["processes"] == 1 else f" in each of up to {told['processes']} processes"
    timed = f" An answer is timed on {run.timed} questions, with nothing beside it." if run.timed else ""
    return (
        f"{told['model']}, {told['instances']} instances a family, {len(told['families'])} families, at "
        f"most {told['gen_length']} tokens in blocks of {told['block_length']}, {told['dtype']}, "
        f"{told['rows']} rows in flight{beside}, {told['device']}, torch {told['torch']}.{failed}{timed}"
    )


def table(run: Run) -> str:
    """The figures as Markdown; the settings of the front are bold, and so are the columns of the other's."""
    best, cheapest = (
        [point.name for point in front(points)]
        for points in ([row.by_forwards for row in run.rows], [row.by_columns for row in run.rows])
    )
    time = "ms an answer" if run.timed else "seconds"
    lines = [
        "| setting | algorithm | parameters | exact % | to one-token | hardest family | tokens per forward "
        f"| whole + block + part | columns per token | {time} |",
        "|---|---|---|---:|---:|---|---:|---:|---:|---:|",
        *(_line(row, time, run.baseline, best, cheapest) for row in run.rows),
    ]
    return "\n".join([*lines, ""])


def _line(row: Row, time: str, baseline: Row | None, best: Sequence[str], cheapest: Sequence[str]) -> str:
    given = ", ".join(f"`{name}={as_typed(value)}`" for name, value in row.parameters.items()) or "defaults"
    family, percent = row.hardest
    kinds = " + ".join(f"{count / row.asked:.1f}" for count in (row.whole, row.block, row.part))
    cells = [
        _bold(row.setting, row.setting in best),
        f"`{row.algorithm}`",
        given,
        enclosed(row.exact, sign="-"),
        "" if baseline in (None, row) else enclosed(row.over(baseline), sign="+"),
        f"{family} {percent:.1f}",
        f"{row.tokens_per_forward:.2f}",
        kinds,
        _bold(f"{row.columns_per_token:.1f}", row.setting in cheapest),
        f"{row.seconds:.1f}" if time == "seconds" else "" if row.alone is None else f"{row.alone:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def enclosed(found: Interval, *, sign: Literal["-", "+"]) -> str:
    """A figure and where it may be, with its sign where that is "-", or always; a loss of less than 0.05 is
    -0.0."""
    value, least, most = (f"{tenth(each):{sign}}" for each in (found.value, found.least, found.most))
    return f"{value} ({least} … {most})"


def _bold(text: str, whether: bool) -> str:
    return f"**{text}**" if whether else text
