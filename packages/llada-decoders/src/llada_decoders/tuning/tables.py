"""What ``llada tune`` says to people: a table of all that was tried, and the flags to use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from llada_core.bench.comparing import CONFIDENCE
from llada_core.cli.diversion import stdout
from llada_core.cli.output import as_typed, print_line, print_table
from llada_core.cli.settings import common
from llada_core.cli.streams import columns_of
from llada_core.cli.tables import Column, wrapped
from llada_decoders.tuning.brackets import Bracket
from llada_decoders.tuning.intervals import Bounds, needed, wilson
from llada_decoders.tuning.judging import Judged
from llada_decoders.tuning.outcome import Outcome, verdict
from llada_decoders.tuning.trials import Trial

__all__ = ["print_flags", "print_trials"]

_HEADINGS = {"tokens_per_forward": "tokens/forward", "tokens_per_second": "tokens/s"}
_SHORT = {"tokens_per_forward": "tok/fwd", "tokens_per_second": "tok/s"}
_ROOM = 132  # columns from which headings are written out
_LEAST = 110  # and from which all intervals are there
_INDENT = "    "


def print_trials(outcome: Outcome) -> None:
    """The table: the baseline, then each algorithm's trials, the fastest first; and how they were asked."""
    judge, alike = outcome.judge, _alike(outcome)
    width = columns_of(stdout())
    narrow = width is not None and width < _LEAST
    rows = [_baseline_row(outcome, alike, narrow=narrow)]
    for bracket in outcome.brackets:
        best = bracket.best(judge)
        for each in sorted(bracket.judged(judge), key=lambda each: -each.speed):
            said = verdict(each, best, raced=bracket.raced)
            rows.append([each.trial.candidate.label_but(alike), *_figures(each, narrow=narrow), said])
    print_line("")
    print_table(_columns(judge.speed, width), rows)
    for line in _conditions(outcome):
        _say(line)


def _columns(speed: str, width: int | None) -> list[Column]:
    fast = (_SHORT if width is not None and width < _ROOM else _HEADINGS)[speed]
    figures = ("asked", "right %", "share %", fast, "speed-up")
    return [
        Column(heading="setting", wraps=True),
        *(Column(heading=heading, right=True) for heading in figures),
        Column(heading="verdict"),
    ]


def print_flags(outcome: Outcome) -> None:
    """What to take of each algorithm, and of all, as flags of ``llada generate``."""
    for bracket, best in zip(outcome.brackets, outcome.best(), strict=True):
        print_line("")
        if best is None:
            _say(_nothing(bracket))
            print_line(f"{_INDENT}{outcome.baseline.candidate.flags}")
        else:
            _say(f"{_taken(best, bracket)}{'' if bracket.raced else ', so far'}")
            print_line(f"{_INDENT}{best.trial.candidate.flags}")
    fastest = outcome.fastest()
    if fastest is not None and len(outcome.brackets) > 1:
        print_line("")
        print_line(f"the fastest of all: {fastest.trial.candidate.label}")


def _say(sentence: str) -> None:
    """A sentence on stdout, broken between words where that is a terminal."""
    for line in wrapped(sentence, columns_of(stdout())):
        print_line(line)


def _alike(outcome: Outcome) -> dict[str, object]:
    """The parameters that the baseline and all others are given alike."""
    trials = [outcome.baseline, *(trial for bracket in outcome.brackets for trial in bracket.trials)]
    return common([trial.candidate.setting for trial in trials])


def _baseline_row(outcome: Outcome, alike: Mapping[str, object], *, narrow: bool) -> list[str]:
    trial, judge = outcome.baseline, outcome.judge
    label = f"one token a step: {trial.candidate.label_but(alike)}"
    speed = f"{trial.figure(judge.speed):.2f}"
    return [label, str(trial.asked), _right(trial, narrow=narrow), "", speed, "1.0", "the baseline"]


def _figures(judged: Judged, *, narrow: bool) -> list[str]:
    """Questions, right answers, share, speed and speed-up; the first alone of who was asked nothing."""
    trial, paired = judged.trial, judged.paired
    if not trial.asked:
        return ["0", "", "", "", ""]
    return [
        str(trial.asked),
        _right(trial, narrow=narrow),
        f"{_percent(paired.share)} {_between(paired.interval, digits=0 if narrow else 1)}",
        f"{judged.speed:.2f}",
        "-" if judged.speed_up is None else f"{judged.speed_up:.1f}",
    ]


def _right(trial: Trial, *, narrow: bool) -> str:
    right = sum(trial.right)
    percent = _percent(right / trial.asked)
    return percent if narrow else f"{percent} {_between(wilson(right, trial.asked))}"


def _conditions(outcome: Outcome) -> Iterator[str]:
    judge, alike = outcome.judge, _alike(outcome)
    if alike:
        yield f"all with {' '.join(f'{name}={as_typed(value)}' for name, value in alike.items())}"
    yield (
        f"{judge.questions} question(s): {outcome.questions.source}; a share is of what one token a step has "
        f"right of the same questions, and the floor is {_percent(judge.floor)} %"
    )
    yield (
        f"in brackets, intervals that hold the true value in about {100 * CONFIDENCE:.0f} % of runs: "
        "Wilson's of right answers; of shares, which are of pairs, Zou and Donner's, from Wilson's of what "
        "is kept and of what is gained"
    )
    if judge.too_few:
        yield _too_few(outcome)
    if not outcome.complete:
        yield "interrupted: what was asked by then is told"


def _too_few(outcome: Outcome) -> str:
    judge = outcome.judge
    count = needed(judge.floor)
    if count is None:
        return "without gains no number of questions shows a share of all; where none is shown, shares decide"
    return (
        f"too few questions to show such a share: without gains it takes {count} right answers of one token "
        f"a step, of which there are {sum(judge.baseline.right)}; where none is shown, shares decide"
    )


def _taken(best: Judged, bracket: Bracket) -> str:
    between = best.paired.interval
    said = (
        f"{bracket.algorithm}: {best.speed_up:.1f} times as fast as one token a step, with "
        f"{_percent(best.paired.share)} % of its right answers ({_percent(between.least)} to "
        f"{_percent(between.most)})"
    )
    shown = "" if best.shown else "; that it passes is not shown"
    verdicts = [verdict(each, best, raced=bracket.raced) for each in bracket.judged(best.judge)]
    as_fast = verdicts.count("passes, as fast")
    return f"{said}{shown}" + (f"; {as_fast} more as fast" if as_fast else "")


def _nothing(bracket: Bracket) -> str:
    if not bracket.raced:
        return f"{bracket.algorithm}: interrupted before anything passed; until then, one token a step"
    return f"{bracket.algorithm}: nothing that is faster passes; take one token a step"


def _between(bounds: Bounds, digits: int = 1) -> str:
    return f"({_percent(bounds.least, digits)} to {_percent(bounds.most, digits)})"


def _percent(share: float, digits: int = 1) -> str:
    return "any" if math.isinf(share) else f"{100 * share:.{digits}f}"
