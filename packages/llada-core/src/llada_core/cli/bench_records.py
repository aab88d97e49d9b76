"""What ``bench`` writes for programs: JSON with every sample, and the points of its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llada_core.bench import FIGURES, Point, spread
from llada_core.cli.bench_pairs import NotCompared, Pair
from llada_core.cli.bench_tables import trial_name
from llada_core.cli.bench_trials import Method, Trial, complete_rounds
from llada_core.cli.streams import line_of

__all__ = ["points_of", "record"]


def record(
    about: Mapping[str, Any],
    trials: Sequence[Trial],
    method: Method,
    pairs: Sequence[Pair],
    missing: Sequence[NotCompared],
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """All that was measured, on what and how; ``interrupted``, fewer rounds than the method has repeats."""
    return {
        "about": dict(about),
        "method": {
            "questions": len(method.questions),
            "source": method.source,
            "repeats": method.repeats,
            "rounds": complete_rounds(trials),
            "interrupted": interrupted,
            "warm_up": method.warm_up,
            "raw": method.raw,
        },
        "results": [_result(trial) for trial in trials],
        "comparisons": [_comparison(pair) for pair in pairs],
        "not_compared": [{**_sides(each), "reason": each.reason} for each in missing],
    }


def points_of(trials: Sequence[Trial], speed: str) -> list[Point]:
    """The medians of the trials that were measured; ``speed`` is the name of a figure."""
    done = [trial for trial in trials if trial.samples]
    found = [
        (each, spread(each.samples, FIGURES[speed]), spread(each.samples, FIGURES["accuracy"]))
        for each in done
    ]
    return [
        Point(
            name=trial_name(trial, trials) + (", failed" if trial.error else ""),
            series=trial.case.algorithm or trial.case.label,
            speed=fast.median,
            accuracy=right.median,
        )
        for trial, fast, right in found
        if fast is not None and right is not None
    ]


def _result(trial: Trial) -> dict[str, Any]:
    found = {name: spread(trial.samples, figure) for name, figure in FIGURES.items()}
    families = trial.samples[0].accuracies() if trial.samples else {}
    return {
        "setting": trial.case.label,
        "algorithm": trial.case.algorithm,
        "parameters": trial.parameters,
        "gen_length": trial.gen_length,
        "batch": trial.case.rows,
        "rounds": len(trial.samples),
        "figures": {name: None if each is None else each.as_dict() for name, each in found.items()},
        **({"accuracy_by_family": families} if families else {}),
        "samples": [sample.as_dict() for sample in trial.samples],
        **({} if trial.error is None else {"error": line_of(str(trial.error))}),
    }


def _comparison(pair: Pair) -> dict[str, Any]:
    return {
        **_sides(pair),
        "pairs": pair.rounds,
        "ratios": [ratio.as_dict() for ratio in pair.ratios],
        "answers": None if pair.answers is None else pair.answers.as_dict(),
    }


def _sides(both: Pair | NotCompared) -> dict[str, Any]:
    return {
        "first": both.first.case.label,
        "second": both.second.case.label,
        "gen_length": both.first.gen_length,
        "batch": both.first.case.rows,
    }
