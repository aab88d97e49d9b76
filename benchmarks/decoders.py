"""Compare all LLaDA decoders on one model's held-out tasks: `docs/decoders.md`, its pictures and its figures.

    python benchmarks/decoders.py [-n 100] [--device cuda --batch 128] [--write | --into FOLDER] [--continue]
    python benchmarks/decoders.py --share 1/4 --into FOLDER --figures-only ...   # beside 2/4, 3/4 and 4/4
    python benchmarks/decoders.py --results FOLDER/*.json
    python benchmarks/decoders.py --model PATH --tasks-of WHEEL --gen-length 512 --name decoders-long ...

Every setting of `decoder_settings.py` is run on `n` held-out instances a family, the same for all, so that
each can be compared with one token a step question by question. A run of 100 instances or more is written
into `docs/`; a smaller one is a look, and is written under `--write` only, or under `--into` into another
folder. The figures are written after each setting: with `--continue` those of the file are kept, and only the
settings that it lacks are run. `--share k/n` runs every n-th setting alone: a small network keeps a core of
the processor busier than a GPU, which several processes share well; seconds are then those of a setting among
others. `--figures-only` leaves page and pictures to a later call with `--results`, which reads the figures of
earlier runs instead of measuring. What measures and draws is `llada_core.bench`, as in `llada bench`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from decoder_page import DOCS, about, files, table
from decoder_rows import Row, Run
from decoder_settings import settings

import llada_core
from llada_core import LoadedModel
from llada_core.bench import (
    Case,
    Question,
    check_can_plot,
    measure,
    surroundings,
    tasks,
    warm_case,
)
from llada_core.bench.questions import EMBEDDED
from llada_core.cli.outfiles import check_files, written
from llada_core.errors import LladaError, UsageError

FULL = 100  # instances a family from which a run may stand on the page


def main() -> None:
    options = _options()
    folder = _folder(options)
    run = Run.together(options.results) if options.results else _measured(options, folder)
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
    model = llada_core.load_model(options.model, device=options.device, dtype=options.dtype)
    asked = tasks(options.n, options.family, wheel=options.tasks_of, seed=options.seed)
    run = Run(about=_about(model, asked, options), rows=[], failed={})
    if options.go_on and path is not None and path.exists():
        run = _continued(path, run)
    questions = _by_length(model, asked)
    which, of = options.share
    for name in run.missing(options.setting or [*settings(options.gen_length)][which - 1 :: of]):
        _measure(run, model, name, questions, options)
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
    """The run in the file, which must be of the same model, questions and machine."""
    found = Run.read(path)
    try:
        found.check_continues(run.about)
    except UsageError as exc:
        sys.exit(f"{path}: {exc}")
    return replace(found, failed={})


def _measure(
    run: Run, model: LoadedModel, name: str, questions: list[Question], options: argparse.Namespace
) -> None:
    """Add the setting's row to the run, or why it has none, and tell it."""
    setting = settings(options.gen_length)[name]
    common = {"gen_length": options.gen_length, "block_length": options.block_length}
    parameters = {**common, **setting.parameters}
    rows = min(options.batch, len(questions))  # fewer questions than rows would be asked twice
    case = Case(label=name, algorithm=setting.algorithm, parameters=parameters, rows=rows)
    try:
        warm_case(model, case, questions)
        row = Row.of(name, setting, measure(model, case, questions))
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


def _by_length(model: LoadedModel, questions: Iterable[Question]) -> list[Question]:
    """The questions as ids, those of one length side by side: on a GPU such rows attend together in float32
    too."""
    encoded = [replace(each, prompt=model.model.encode(each.prompt)) for each in questions]
    return sorted(encoded, key=lambda each: len(each.prompt))


def _about(model: LoadedModel, asked: list[Question], options: argparse.Namespace) -> dict[str, Any]:
    found = surroundings(model)
    return {
        "model": options.tasks_of if options.model is None else Path(options.model).name,
        "tasks": options.tasks_of,
        "instances": options.n,
        "seed": options.seed,
        "families": list(dict.fromkeys(each.group for each in asked)),
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
    parser.add_argument("-n", type=int, default=FULL, help="instances a family")
    parser.add_argument("--model", help="a checkpoint folder or hub id; the embedded one if left out")
    parser.add_argument(
        "--tasks-of", default=EMBEDDED, metavar="WHEEL", help="the wheel whose tasks are asked"
    )
    parser.add_argument("--family", nargs="+", default=[], help="some families of the tasks; all if left out")
    parser.add_argument("--seed", type=int, default=2026, help="of the held-out instances")
    parser.add_argument("--setting", nargs="+", default=[], help="some settings; all if left out")
    parser.add_argument("--gen-length", type=int, default=128)
    parser.add_argument("--block-length", type=int, default=32)
    parser.add_argument("--device")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=32, help="rows in flight at a time")
    parser.add_argument(
        "--name", default="decoders", help="what the files and the marks on the page are called"
    )
    parser.add_argument("--write", action="store_true", help="write a small run into docs/, too")
    parser.add_argument("--into", type=Path, help="write into this folder instead, whatever n is")
    parser.add_argument(
        "--continue", dest="go_on", action="store_true", help="keep the settings that are there"
    )
    parser.add_argument(
        "--figures-only", action="store_true", help="draw nothing, and leave the page as it is"
    )
    parser.add_argument("--share", type=_share, default=(1, 1), metavar="K/N", help="every N-th setting")
    parser.add_argument(
        "--results", type=Path, nargs="+", help="figures of earlier runs, such as docs/decoders.json"
    )
    options = parser.parse_args()
    unknown = [name for name in options.setting if name not in settings(options.gen_length)]
    if unknown:
        parser.error(f"no setting is called {', '.join(unknown)}; see decoder_settings.py")
    return options


if __name__ == "__main__":
    main()
