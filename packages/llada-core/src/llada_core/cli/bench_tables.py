"""What ``bench`` says to people: on what it was measured, a table of all cases, and of two their ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llada_core.bench import FIGURES, Answers, Figure, Ratio, spread
from llada_core.cli.bench_pairs import NotCompared, Pair
from llada_core.cli.bench_trials import Method, Trial, complete_rounds
from llada_core.cli.diversion import stdout
from llada_core.cli.output import print_line, print_table
from llada_core.cli.streams import columns_of
from llada_core.cli.tables import Column
from llada_core.machine import amount

__all__ = ["print_not_compared", "print_pair", "print_surroundings", "print_trials", "trial_name"]

_WRITTEN: Mapping[str, Callable[[float], str]] = {
    "tokens_per_second": "{:.1f}".format,
    "nfe": "{:.2f}".format,
    "tokens_per_forward": "{:.2f}".format,
    "committed_per_forward": "{:.2f}".format,
    "columns_per_token": "{:.1f}".format,
    "ms_per_forward": "{:.2f}".format,
    "rows_in_flight": "{:.2f}".format,
    "first_text": lambda seconds: f"{1000 * seconds:.1f} ms",
    "peak_memory": amount,
    "accuracy": "{:.1f}".format,
}
_SHORT = {
    "tokens/s": "tok/s",
    "tokens/forward": "tok/fwd",
    "committed/forward": "com/fwd",
    "columns/token": "col/tok",
    "ms/forward": "ms/fwd",
    "rows in flight": "rows",
    "first text": "text",
    "peak memory": "memory",
    "right %": "right",
}
_ROOM = 147  # columns of a terminal from which headings are written out
_SPREAD = "tokens_per_second"  # the figure whose spread the table has


def print_surroundings(about: Mapping[str, Any]) -> None:
    """The model, the machine and the versions, a line each."""
    print_line(f"{about['model']}, by the engine {about['engine']}, {about['dtype'] or 'dtype not told'}")
    threads = f"{about['processor']}, {about['threads']} thread(s) on {about['cores']} core(s)"
    device = about["device_name"]
    print_line(f"{about['device']}: {device}; {threads}" if device else f"{about['device']}: {threads}")
    versions = {"python": about["python"], **about["packages"]}
    print_line(", ".join(f"{name} {version}" for name, version in versions.items()))


def print_trials(trials: Sequence[Trial], method: Method, *, interrupted: bool) -> None:
    """The table of the trials, and how they were measured; with their rounds, where one has not had all."""
    columns = [Column(heading="setting", wraps=True)]
    width = columns_of(stdout())
    short = _SHORT if width is not None and width < _ROOM else {}
    shown = _figures(trials)
    headings = [short.get(heading, heading) for heading in _headings(trials, shown)]
    columns += [Column(heading=heading, right=True) for heading in headings]
    rows = [[trial.case.label, *_cells(trial, trials, shown)] for trial in trials]
    if any(len(trial.samples) < method.repeats for trial in trials):
        columns.append(Column(heading="rounds"))
        rows = [[*row, _rounds(trial, method)] for row, trial in zip(rows, trials, strict=True)]
    print_line("")
    print_table(columns, rows)
    for line in _conditions(trials, method, interrupted):
        print_line(line)


def _figures(trials: Sequence[Trial]) -> list[Figure]:
    """Those that a trial tells; rows in flight only where they can be several."""
    told = [figure for figure in FIGURES.values() if any(spread(trial.samples, figure) for trial in trials)]
    several = any(trial.case.rows > 1 for trial in trials)
    return [figure for figure in told if several or figure.name != "rows_in_flight"]


def _rounds(trial: Trial, method: Method) -> str:
    if not trial.samples:
        return "failed" if trial.error else "not measured"
    return f"{len(trial.samples)} of {method.repeats}" + (", then failed" if trial.error else "")


def trial_name(trial: Trial, trials: Sequence[Trial]) -> str:
    """The setting, with length and rows where not all trials have the same."""
    lengths, rows = _varying(trials)
    length = f", {trial.gen_length} tokens" if lengths and trial.gen_length is not None else ""
    return trial.case.label + length + (f", batch {trial.case.rows}" if rows else "")


def print_pair(pair: Pair, trials: Sequence[Trial]) -> None:
    """A table of how many times the second has what the first has, and how sure that is."""
    _print_sides(pair, trials)
    columns = [Column(heading="figure")]
    headings = ("A", "B", "B/A", "interval", "pairs for B")
    columns += [Column(heading=heading, right=True) for heading in headings]
    print_table([*columns, Column(heading="verdict")], [_ratio_cells(ratio, pair) for ratio in pair.ratios])
    if pair.answers is not None:
        print_line(_answers_line(pair.answers))
    coverage = next((ratio.coverage for ratio in pair.ratios if ratio.coverage is not None), None)
    held = "" if coverage is None else f", and intervals that hold them in {100 * coverage:.1f} % of runs"
    print_line(f"{pair.rounds} pairs, A and B in turn first; medians of B/A{held}")


def print_not_compared(both: NotCompared, trials: Sequence[Trial]) -> None:
    """That nothing is compared, and why."""
    _print_sides(both, trials)
    print_line(f"nothing is compared: {both.reason}")


def _print_sides(both: Pair | NotCompared, trials: Sequence[Trial]) -> None:
    print_line("")
    print_line(f"A: {trial_name(both.first, trials)}")
    print_line(f"B: {trial_name(both.second, trials)}")


def _ratio_cells(ratio: Ratio, pair: Pair) -> list[str]:
    figure = FIGURES[ratio.figure]
    varies = ratio.least is not None
    return [
        figure.heading,
        _median(pair.first, figure),
        _median(pair.second, figure),
        f"{ratio.median:.3f}",
        f"{ratio.least:.3f} to {ratio.most:.3f}" if varies else "same in every round",
        f"{ratio.better} of {ratio.pairs}" if varies else "-",
        _verdict(ratio),
    ]


def _verdict(ratio: Ratio) -> str:
    if ratio.better == ratio.worse == 0:
        return "equal"
    if ratio.least is not None and ratio.shows_no_difference:
        return "no difference shown: it includes 1"
    better = "B is better" if ratio.better > ratio.worse else "A is better"
    return better if ratio.least is not None else f"{better} on these questions"


def _answers_line(answers: Answers) -> str:
    """Which questions tell the accuracies apart, and whether they are enough."""
    counts = f"{answers.first} right by A more often than by B, {answers.second} by B"
    if answers.first == answers.second == 0:
        return f"right answers: {answers.questions} question(s), right by A as often as by B"
    verdict = "B is better" if answers.second > answers.first else "A is better"
    told = "no difference shown" if answers.shows_no_difference else verdict
    return f"right answers: {answers.questions} question(s), {counts}; McNemar's p = {answers.p:.3f}: {told}"


def _headings(trials: Sequence[Trial], shown: Sequence[Figure]) -> Iterator[str]:
    lengths, rows = _varying(trials)
    yield from ["length"] * lengths
    yield from ["batch"] * rows
    for figure in shown:
        yield figure.heading
        yield from ["spread"] * (figure.name == _SPREAD)


def _cells(trial: Trial, trials: Sequence[Trial], shown: Sequence[Figure]) -> Iterator[str]:
    lengths, rows = _varying(trials)
    yield from [str(trial.gen_length or "-")] * lengths
    yield from [str(trial.case.rows)] * rows
    for figure in shown:
        yield _median(trial, figure)
        yield from [_half_range(trial, figure)] * (figure.name == _SPREAD)


def _median(trial: Trial, figure: Figure) -> str:
    found = spread(trial.samples, figure)
    return "-" if found is None else _WRITTEN[figure.name](found.median)


def _half_range(trial: Trial, figure: Figure) -> str:
    found = spread(trial.samples, figure)
    if found is None or len(trial.samples) < 2 or not found.median:
        return "-"
    return f"±{50 * (found.most - found.least) / found.median:.1f}%"


def _varying(trials: Sequence[Trial]) -> tuple[bool, bool]:
    """Whether lengths, and rows, differ between the trials; of one without an answer, its algorithm's own
    length is not known."""
    lengths = {each.gen_length for each in trials if each.samples or each.gen_length is not None}
    return len(lengths) > 1, len({each.case.rows for each in trials}) > 1


def _conditions(trials: Sequence[Trial], method: Method, interrupted: bool) -> Iterator[str]:
    lengths, rows = _varying(trials)
    first = trials[0]
    same = [] if lengths or first.gen_length is None else [f"answers of {first.gen_length} tokens at most"]
    same += [] if rows else [f"batch {first.case.rows}"]
    yield "; ".join([f"{len(method.questions)} question(s): {method.source}", *same])
    times = f"measured {method.repeats} times, each setting once a round"
    if interrupted:
        times = f"interrupted after {complete_rounds(trials)} of {method.repeats} rounds"
    elif method.repeats == 1:
        times = "measured once"
    medians = "; figures are medians, spread is half the way from least to most" * (method.repeats > 1)
    yield f"{times}, after {method.warm_up} warm-up(s){medians}"
