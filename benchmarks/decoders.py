"""Write the comparison of all decoders, `docs/decoders.md` and its plot, from one evaluation on llada-tiny.

    python benchmarks/decoders.py [-n 100] [--device cpu] [--results FILE]

Every setting of `evaluate.py` is run on `n` held-out instances a family. With `--results`, the figures of an
earlier run of this program are read instead, and only the page and the plot are written anew.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import evaluate
import matplotlib
import torch

import llada_core
from llada_tiny.tasks import FAMILIES, held_out

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
COLOURS = {
    "basic": "tab:gray",
    "prefix_cache": "tab:olive",
    "dual_cache": "tab:green",
    "dinfer_blockwise": "tab:blue",
    "dinfer_hierarchy": "tab:red",
    "dinfer_credit": "tab:purple",
}


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


def main() -> None:
    options = _options()
    if options.results:
        run = json.loads(options.results.read_text())
    else:
        run = _run(options)
        (DOCS / "decoders.json").write_text(json.dumps(run, indent=1) + "\n")
    rows = [Row(**row) for row in run["rows"]]
    plot(rows, DOCS / "decoders.svg")
    page = DOCS / "decoders.md"
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + "\n\n" + table(rows, run["about"]) + "\n" + END + rest.split(END)[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=100, help="instances a family")
    parser.add_argument("--device")
    parser.add_argument("--batch", type=int, default=32)
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
    """The figures as Markdown."""
    lines = [
        f"{about}.",
        "",
        "| algorithm | parameters | exact % | word problems % | NFE | tokens per forward | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        given = ", ".join(f"`{name}={value}`" for name, value in row.parameters.items()) or "defaults"
        lines.append(
            f"| `{row.algorithm}` | {given} | {row.exact:.1f} | {row.word_problems:.1f} | {row.nfe:.1f} "
            f"| {row.tokens_per_forward:.1f} | {row.seconds:.0f} |"
        )
    return "\n".join([*lines, "", "![Accuracy against tokens per forward](decoders.svg)", ""])


def plot(rows: list[Row], path: Path) -> None:
    """Accuracy against tokens per forward, one point a setting, as SVG."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "llada"  # the same figures give the same file
    from matplotlib import pyplot  # after the backend is chosen

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for algorithm, colour in COLOURS.items():
        mine = [row for row in rows if row.algorithm == algorithm]
        axes.scatter(
            [r.tokens_per_forward for r in mine], [r.exact for r in mine], color=colour, label=algorithm
        )
        for row in mine:
            axes.annotate(
                row.setting,
                (row.tokens_per_forward, row.exact),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=6,
            )
    axes.set(xlabel="answer tokens per forward", ylabel="exact answers, % (mean over families)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
