"""Compare all decoders in one evaluation on llada-tiny: `docs/decoders.md`, its plot and its figures.

    python benchmarks/decoders.py [-n 100] [--device cpu] [--write | --into FOLDER]
    python benchmarks/decoders.py --results docs/decoders.json

Every setting of `evaluate.py` is run on `n` held-out instances a family, and the table is printed. A run of
100 instances or more is written into `docs/`; a smaller one is a look, and is written under `--write` only,
or under `--into` into another folder. With `--results`, the figures of an earlier run are read instead, and
page and plot are written anew. What measures and draws is `llada_core.bench`, as in `llada bench`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import evaluate

import llada_core
from llada_core.bench import (
    Point,
    Question,
    check_can_plot,
    families,
    front,
    measure,
    plot,
    surroundings,
    tasks,
    warm_case,
)
from llada_core.cli.outfiles import check_files, written
from llada_core.errors import UsageError

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
FILES = ("decoders.json", "decoders.svg", "decoders.md")
FULL = 100  # instances a family from which a run may stand on the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting over all families; ``exact`` is the mean of the families' percentages."""

    setting: str
    algorithm: str
    parameters: Mapping[str, object]
    exact: float
    word_problems: float
    nfe: float
    tokens_per_forward: float
    seconds: float

    @property
    def point(self) -> Point:
        """The row in the picture, by the figures as the table has them: so readers can check the front."""
        return Point(
            name=self.setting,
            series=self.algorithm,
            speed=round(self.tokens_per_forward, 2),
            accuracy=round(self.exact, 1),
        )


def main() -> None:
    options = _options()
    folder = _folder(options)
    run = json.loads(options.results.read_text()) if options.results else _run(options)
    rows = [Row(**row) for row in run["rows"]]
    print(table(rows, run["about"]))
    if folder is not None:
        write(run, rows, folder, figures=not options.results)
    else:
        print(
            f"docs/ is as it was: {options.n} instances are no full run of {FULL}; give --write to write them"
        )


def _folder(options: argparse.Namespace) -> Path | None:
    """Where page, plot and figures are to be written, known to be possible before anything is measured; None
    where it is but a look."""
    if not (options.into or options.results or options.write or options.n >= FULL):
        return None
    folder: Path = options.into or DOCS
    try:
        check_files([("what is measured", folder / name) for name in FILES], overwrite=True)
        check_can_plot(folder / "decoders.svg")
    except UsageError as exc:
        sys.exit(str(exc))
    return folder


def write(run: Mapping[str, Any], rows: list[Row], folder: Path, *, figures: bool) -> None:
    """Write page and plot, and the figures themselves where they are new; what cannot be written is told once
    the others are."""
    page, points = DOCS / "decoders.md", [row.point for row in rows]
    axes = {"across": "answer tokens per forward", "up": "exact answers, %"}
    files: dict[str, Callable[[Path], object]] = {
        "decoders.json": lambda path: path.write_text(json.dumps(run, indent=1) + "\n"),
        "decoders.svg": lambda path: plot(points, path, **axes),
        "decoders.md": lambda path: path.write_text(with_table(page.read_text(), table(rows, run["about"]))),
    }
    if not figures:
        del files["decoders.json"]
    failures = [written(folder / name, write) for name, write in files.items()]
    told = [str(each) for each in failures if each is not None]
    if told:
        sys.exit("\n".join(told))


def with_table(page: str, written: str) -> str:
    """The page with this table between its marks."""
    before, rest = page.split(BEGIN)
    picture = "![Accuracy against tokens per forward](decoders.svg)"
    return f"{before}{BEGIN}\n\n{written}\n{picture}\n\n{END}{rest.split(END)[1]}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=FULL, help="instances a family")
    parser.add_argument("--device")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--write", action="store_true", help="write a small run into docs/, too")
    parser.add_argument("--into", type=Path, help="write into this folder instead, whatever n is")
    parser.add_argument("--results", type=Path, help="figures of an earlier run, such as docs/decoders.json")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> dict[str, object]:
    model = llada_core.load_model(device=options.device, dtype="float32")
    questions = evaluate.by_length(tasks(options.n))
    rows = []
    for setting in evaluate.SETTINGS:
        rows.append(asdict(_row(model, setting, questions, options.batch)))
        print(rows[-1], flush=True)
    return {"about": _about(model, options), "rows": rows}


def _about(model: llada_core.LoadedModel, options: argparse.Namespace) -> str:
    about = surroundings(model)
    return (
        f"{options.n} instances a family, {len(families())} families, {about['dtype']}, {options.batch} rows "
        f"in flight, {about['device_name'] or about['processor']}, {about['threads']} thread(s), "
        f"torch {about['packages']['torch']}"
    )


def _row(model: llada_core.LoadedModel, setting: str, questions: list[Question], batch: int) -> Row:
    case = evaluate.case_of(setting, min(batch, len(questions)))
    warm_case(model, case, questions)
    sample = measure(model, case, questions)
    by_family = sample.accuracies()
    algorithm, parameters = evaluate.SETTINGS[setting]
    return Row(
        setting=setting,
        algorithm=algorithm,
        parameters=parameters,
        exact=sum(by_family.values()) / len(by_family),
        word_problems=by_family["word_problems"],
        nfe=sample.row_forwards / len(sample.answers),
        tokens_per_forward=sample.tokens / sample.row_forwards,
        seconds=sample.seconds,
    )


def table(rows: list[Row], about: str) -> str:
    """The figures as Markdown; the settings of the front are bold."""
    best = [point.name for point in front([row.point for row in rows])]
    lines = [
        f"{about}. Bold: the front, settings that no other equals in both exact % and tokens per forward and "
        "exceeds in one.",
        "",
        "| setting | algorithm | parameters | exact % | word problems % | NFE | tokens per forward "
        "| seconds |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        given = ", ".join(f"`{name}={value}`" for name, value in row.parameters.items()) or "defaults"
        setting = f"**{row.setting}**" if row.setting in best else row.setting
        lines.append(
            f"| {setting} | `{row.algorithm}` | {given} | {row.exact:.1f} | {row.word_problems:.1f} "
            f"| {row.nfe:.1f} | {row.tokens_per_forward:.2f} | {row.seconds:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
