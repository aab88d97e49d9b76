"""What comes of ``bench``: tables or JSON on stdout, and the files that are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.bench import FIGURES, check_can_plot, plot
from llada_core.cli.bench_pairs import not_compared, pairs_of
from llada_core.cli.bench_records import points_of, record
from llada_core.cli.bench_remarks import remark
from llada_core.cli.bench_tables import print_not_compared, print_pair, print_surroundings, print_trials
from llada_core.cli.bench_trials import Method, Trial
from llada_core.cli.outfiles import check_files, written
from llada_core.cli.output import note, print_json
from llada_core.cli.reporting import report, tracebacks_wanted
from llada_core.errors import UsageError

__all__ = ["SPEEDS", "Wanted", "told_at_the_end"]

SPEEDS = {"tokens/s": "tokens_per_second", "tokens/forward": "tokens_per_forward"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to come of it: JSON on stdout instead of tables, in a file, and a picture of accuracy against
    speed."""

    as_json: bool
    json_file: Path | None
    picture: Path | None
    speed: str
    pairs: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wanted:
        """What the options ask for, known to be possible. Raises ``UsageError``."""
        picture: Path | None = given["picture"]
        json_file: Path | None = given["json_file"]
        if given["speed"] is not None and picture is None:
            raise UsageError("--speed is what --plot draws; give --plot FILE, or leave --speed out")
        named = [("--json-file", json_file), ("--plot", picture)]
        files = [(option, path) for option, path in named if path is not None]
        if json_file == Path("-"):
            raise UsageError("--json-file: - is no file; give --json for JSON on stdout")
        if given["overwrite"] and not files:
            raise UsageError("--overwrite is of files; give --json-file FILE or --plot FILE, or leave it out")
        check_files(files, overwrite=given["overwrite"])
        if picture is not None:
            check_can_plot(picture)
        speed = SPEEDS[given["speed"] or next(iter(SPEEDS))]
        return cls(
            as_json=given["as_json"],
            json_file=json_file,
            picture=picture,
            speed=speed,
            pairs=given["compare"] is not None,
        )


@contextmanager
def told_at_the_end(
    trials: Sequence[Trial], method: Method, about: dict[str, Any], wanted: Wanted
) -> Iterator[list[Exception]]:
    """Say what was measured while this was entered, be it that Ctrl-C ended it; in the list, once it is left,
    stands why a file was not written."""
    interrupted = True
    unwritten: list[Exception] = []
    try:
        yield unwritten
        interrupted = False
    finally:
        if any(trial.samples for trial in trials):
            unwritten += _tell(trials, method, about, wanted, interrupted)
        elif interrupted:
            note("ended before anything was measured; no figures are told, and no file is written")


def _tell(
    trials: Sequence[Trial], method: Method, about: dict[str, Any], wanted: Wanted, interrupted: bool
) -> list[Exception]:
    """Write the files, then print, as a reader of stdout may leave. What cannot be written is told at once,
    and returned."""
    pairs = pairs_of(trials) if wanted.pairs else []
    missing = not_compared(trials) if wanted.pairs else []
    told = record(about, trials, method, pairs, missing, interrupted=interrupted)
    unwritten = _written(trials, told, wanted)
    for failure in unwritten:
        report(failure, debug=tracebacks_wanted())
    if wanted.as_json:
        print_json(told)
    else:
        print_surroundings(about)
        print_trials(trials, method, interrupted=interrupted)
        for pair in pairs:
            print_pair(pair, trials)
        for each in missing:
            print_not_compared(each, trials)
    remark(trials, method, about)
    return unwritten


def _written(trials: Sequence[Trial], told: dict[str, Any], wanted: Wanted) -> list[Exception]:
    """Write the files that are wanted; why some could not be."""

    def dump(path: Path) -> None:
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def draw(path: Path) -> None:
        points = points_of(trials, wanted.speed)
        plot(points, path, across=FIGURES[wanted.speed].heading, up="right answers, %")

    files = ((wanted.json_file, dump), (wanted.picture, draw))
    failures = [written(path, write) for path, write in files if path is not None]
    return [each for each in failures if each is not None]
