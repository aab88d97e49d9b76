"""Compare all decoders in one evaluation on llada-tiny: `docs/decoders.md`, its plot and its figures.

    python benchmarks/decoders.py [-n 100] [--device cpu] [--write]
    python benchmarks/decoders.py --results docs/decoders.json

Every setting of `evaluate.py` is run on `n` held-out instances a family, and the table is printed. A run of
100 instances or more is written into `docs/`; a smaller one is a look, and is written under `--write` only.
With `--results`, the figures of an earlier run are read instead, and page and plot are written anew.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import evaluate
import torch
from decoders_plot import Row, front, plot

import llada_core
from llada_tiny.tasks import FAMILIES, held_out

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
FULL = 100  # instances a family from which a run may stand on the page


def main() -> None:
    options = _options()
    run = json.loads(options.results.read_text()) if options.results else _run(options)
    rows = [Row(**row) for row in run["rows"]]
    print(table(rows, run["about"]))
    if options.results or options.write or options.n >= FULL:
        write(run, rows, figures=not options.results)
    else:
        print(
            f"docs/ is as it was: {options.n} instances are no full run of {FULL}; give --write to write them"
        )


def write(run: Mapping[str, Any], rows: list[Row], *, figures: bool) -> None:
    """Write page and plot, and the figures themselves where they are new."""
    if figures:
        (DOCS / "decoders.json").write_text(json.dumps(run, indent=1) + "\n")
    plot(rows, DOCS / "decoders.svg")
    page = DOCS / "decoders.md"
    page.write_text(with_table(page.read_text(), table(rows, run["about"])))


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
    parser.add_argument("--results", type=Path, help="figures of an earlier run, such as docs/decoders.json")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> dict[str, object]:
    model = llada_core.load_model(device=options.device, dtype="float32")
    rows = []
    for setting in evaluate.SETTINGS:
        rows.append(asdict(_row(model, setting, options)))
        print(rows[-1], flush=True)
    device = model.model.network.device
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({platform.machine()})"
    about = (
        f"{options.n} instances a family, {len(FAMILIES)} families, float32, batches of {options.batch}, "
        f"{where}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )
    return {"about": about, "rows": rows}


def _row(model: llada_core.LoadedModel, setting: str, options: argparse.Namespace) -> Row:
    scores = [
        evaluate.evaluate(
            model, setting, held_out(family, options.n, 2026, "seen"), phrasings="seen", batch=options.batch
        )
        for family in FAMILIES
    ]
    algorithm, parameters = evaluate.SETTINGS[setting]
    asked, forwards = sum(s.asked for s in scores), sum(s.forwards for s in scores)
    return Row(
        setting=setting,
        algorithm=algorithm,
        parameters=parameters,
        exact=sum(s.exact for s in scores) / len(scores),
        word_problems=next(s.exact for s in scores if s.family == "word_problems"),
        nfe=forwards / asked,
        tokens_per_forward=sum(s.answer_tokens for s in scores) / forwards,
        seconds=sum(s.seconds for s in scores),
    )


def table(rows: list[Row], about: str) -> str:
    """The figures as Markdown; the settings of the front are bold."""
    best = front(rows)
    lines = [
        f"{about}. Bold: the front, of which no setting is beaten in both exact % and tokens per forward.",
        "",
        "| setting | algorithm | parameters | exact % | word problems % | NFE | tokens per forward "
        "| seconds |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        given = ", ".join(f"`{name}={value}`" for name, value in row.parameters.items()) or "defaults"
        setting = f"**{row.setting}**" if row in best else row.setting
        lines.append(
            f"| {setting} | `{row.algorithm}` | {given} | {row.exact:.1f} | {row.word_problems:.1f} "
            f"| {row.nfe:.1f} | {row.tokens_per_forward:.1f} | {row.seconds:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
