"""Compare all LLaDA decoders on one model's held-out tasks: `docs/decoders.md`, its pictures and its figures.

    python benchmarks/decoders.py [-n 100] [--device cuda --batch 128] [--write | --into FOLDER] [--continue]
    python benchmarks/decoders.py --share 1/4 --into FOLDER --figures-only ...   # beside 2/4, 3/4 and 4/4
    python benchmarks/decoders.py --results FOLDER/*.json [--times A-SMALL-RUN.json]
    python benchmarks/decoders.py --model llada-tiny-long --gen-length 448 --name decoders-long ...

Every setting of `decoder_settings.py` is run on `n` held-out instances a family, the same for all, so that
each can be compared with one token a step question by question. A run of 100 instances or more is written
into `docs/`; a smaller one is a look, and is written under `--write` only, or under `--into` into another
folder. The figures are written after each setting: with `--continue` those of the file are kept, and only the
settings that it lacks are run. `--share k/n` runs every n-th setting alone: a small network keeps a core of
the processor busier than a GPU, which several processes share well; seconds are then those of a setting among
others. `--figures-only` leaves page and pictures to a later call with `--results`, which reads the figures of
earlier runs instead of measuring; `--times` gives the page what an answer took in a run that had the card to
itself, which may be of fewer questions. What measures and draws is `llada_core.bench`, as in `llada bench`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from asking import add_options, loaded, model_name, questions, tasks_of
from counts import positive
from decoder_page import DOCS, about, files, table
from decoder_rows import Row, Run
from decoder_settings import settings

from llada_core import LoadedModel
from llada_core.bench import (
    Case,
    Question,
    check_can_plot,
    measure,
    surroundings,
    warm_case,
)
from llada_core.cli.outfiles import check_files, written
from llada_core.errors import LladaError, UsageError

FULL = 100  # instances a family from which a run may stand on the page


def main() -> None:
    options = _options()
    folder = _folder(options)
    try:
        run = _put_together(options) if options.results else _measured(options, folder)
    except LladaError as exc:
        sys.exit(str(exc))
    print(f"{about(run)}\n\n{table(run)}")
    if folder is None:
        print(
            f"docs/ is as it was: {options.n} instances are no full run of {FULL}; give --write to write them"
        )
    elif not options.figures_only:
        _write(run, folder, options.name)
    elif options.results:
        run.write(folder / f"{options.name}.json")
    if run.failed:
        sys.exit(f"not measured: {', '.join(run.failed)}")


def _put_together(options: argparse.Namespace) -> Run:
    run = Run.together(options.results)
    if options.times:
        run.take_times(options.times)
    return run


def _write(run: Run, folder: Path, name: str) -> None:
    """Write page and pictures; what cannot be written is told once the others are."""
    failures = [written(folder / file, write) for file, write in files(run, name).items()]
    told = [str(each) for each in failures if each is not None]
    if told:
        sys.exit("\n".join(told))


def _folder(options: argparse.Namespace) -> Path | None:
    """Where page, pictures and figures are to be written, known to be possible before anything is measured;
    None where it is but a look."""
    if not (options.into or options.results or options.write or options.n >= FULL):
        return None
    folder: Path = options.into or DOCS
    name = options.name
    drawn = [] if options.figures_only else [f"{name}.svg", f"{name}-columns.svg", "decoders.md"]
    try:
        figures = f"{name}.json" if options.results else _file(options)
        paths = [("what is measured", folder / each) for each in (figures, *drawn)]
        check_files(paths, overwrite=True)
        if drawn:
            check_can_plot(folder / f"{name}.svg")
    except UsageError as exc:
        sys.exit(str(exc))
    return folder


def _measured(options: argparse.Namespace, folder: Path | None) -> Run:
    """The run, which is in the folder after each of its settings."""
    path = None if folder is None else folder / _file(options)
    model = loaded(options)
    asked = questions(model, options)
    run = Run(about=_about(model, asked, options), rows=[], failed={})
    if options.go_on and path is not None and path.exists():
        run = _continued(path, run)
    which, of = options.share
    chosen = options.setting or [*settings(options.gen_length)]
    for name in run.missing(chosen[which - 1 :: of]):
        _measure(run, model, name, asked, options)
        if path is not None:
            run.write(path)
    run.sort()
    if path is not None:
        run.write(path)
    return run


def _file(options: argparse.Namespace) -> str:
    which, of = options.share
    return f"{options.name}.json" if of == 1 else f"{options.name}-{which}-of-{of}.json"


def _share(text: str) -> tuple[int, int]:
    """Which of how many shares: a ``type`` of argparse."""
    which, _, of = text.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give one such as 1/4, the first of four")
    return int(which), int(of)


def _continued(path: Path, run: Run) -> Run:
    """The run in the file. Raises ``UsageError`` where it is of another model, questions or machine."""
    found = Run.read(path)
    found.check_continues(run.about)
    return replace(found, failed={})


def _measure(
    run: Run, model: LoadedModel, name: str, asked: list[Question], options: argparse.Namespace
) -> None:
    """Add the setting's row to the run, or why it has none, and tell it."""
    setting = settings(options.gen_length)[name]
    common = {"gen_length": options.gen_length, "block_length": options.block_length}
    parameters = {**common, **setting.parameters}
    rows = min(options.batch, len(asked))  # fewer questions than rows would be asked twice
    case = Case(label=name, algorithm=setting.algorithm, parameters=parameters, rows=rows)
    try:
        warm_case(model, case, asked)
        row = Row.of(name, setting, measure(model, case, asked))
    except LladaError as exc:
        run.failed[name] = str(exc)
        print(f"{name}: {exc}", file=sys.stderr, flush=True)
        return
    run.rows.append(row)
    print(
        f"{name:<30} {row.exact.value:6.1f} % {row.tokens_per_forward:6.2f} tokens/forward "
        f"{row.columns_per_token:8.1f} columns/token {row.seconds:7.1f} s",
        flush=True,
    )


def _about(model: LoadedModel, asked: list[Question], options: argparse.Namespace) -> dict[str, Any]:
    found = surroundings(model)
    return {
        "model": model_name(options),
        "tasks": tasks_of(options),
        "instances": options.n,
        "seed": options.seed,
        "families": sorted({str(each.group) for each in asked}),
        "gen_length": options.gen_length,
        "block_length": options.block_length,
        "dtype": found["dtype"],
        "rows": options.batch,
        "processes": options.share[1],
        "device": found["device_name"] or f"{found['processor']}, {found['threads']} thread(s)",
        "torch": found["packages"]["torch"],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, instances=FULL)
    parser.add_argument("--setting", nargs="+", default=[], help="some settings; all if left out")
    parser.add_argument("--share", type=_share, default=(1, 1), metavar="K/N", help="every N-th setting")
    parser.add_argument("--gen-length", type=positive, default=128)
    parser.add_argument("--block-length", type=positive, default=32)
    parser.add_argument("--device")
    parser.add_argument("--batch", type=positive, default=32, help="rows in flight at a time")
    _add_files(parser)
    options = parser.parse_args()
    unknown = [name for name in options.setting if name not in settings(options.gen_length)]
    if options.times and not options.results:
        parser.error("--times is of figures that are there already; give those by --results")
    if unknown:
        parser.error(f"no setting is called {', '.join(unknown)}; see decoder_settings.py")
    return options


def _add_files(parser: argparse.ArgumentParser) -> None:
    """The options of what is read and written."""
    parser.add_argument("--name", default="decoders-all", help="of the files, and of the marks on the page")
    parser.add_argument("--write", action="store_true", help="write a small run into docs/, too")
    parser.add_argument("--into", type=Path, help="write into this folder instead, whatever n is")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="keep what is measured")
    parser.add_argument("--figures-only", action="store_true", help="draw nothing, write no page")
    parser.add_argument("--results", type=Path, nargs="+", help="figures of earlier runs")
    parser.add_argument("--times", type=Path, help="a smaller run, whose times stand on the page")


if __name__ == "__main__":
    main()
