"""What ``llada tune`` writes for programs: JSON with every trial and every answer's count."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llada_core.bench.comparing import CONFIDENCE
from llada_core.cli.streams import line_of
from llada_decoders.tuning.candidates import Candidate
from llada_decoders.tuning.halving import stages
from llada_decoders.tuning.intervals import Bounds, wilson
from llada_decoders.tuning.judging import Judged
from llada_decoders.tuning.outcome import Outcome, verdict
from llada_decoders.tuning.trials import Trial

__all__ = ["record"]


def record(about: Mapping[str, Any], method: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """All that was found, on what and how; ``method`` are the options that say how it was asked."""
    judge, best = outcome.judge, outcome.best()
    fastest = outcome.fastest()
    return {
        "about": dict(about),
        "method": {
            "questions": judge.questions,
            "source": outcome.questions.source,
            "stages": stages(judge.questions),
            "floor": judge.floor,
            "speed": judge.speed,
            "confidence": CONFIDENCE,
            "too_few_to_show": judge.too_few,
            "interrupted": not outcome.complete,
            **method,
        },
        "baseline": _trial(outcome.baseline),
        "trials": [
            _judged(each, verdict(each, found, raced=bracket.raced))
            for bracket, found in zip(outcome.brackets, best, strict=True)
            for each in bracket.judged(judge)
        ],
        "best": [
            {"algorithm": bracket.algorithm, **_recommended(found, outcome.baseline)}
            for bracket, found in zip(outcome.brackets, best, strict=True)
        ],
        "fastest": None if fastest is None else fastest.trial.candidate.flags,
    }


def _recommended(found: Judged | None, baseline: Trial) -> dict[str, Any]:
    candidate = baseline.candidate if found is None else found.trial.candidate
    return {
        "passes": found is not None,
        "shown": found is not None and found.shown,
        "flags": candidate.flags,
        "recommended": _candidate(candidate),
    }


def _judged(judged: Judged, said: str) -> dict[str, Any]:
    paired = judged.paired
    return {
        **_trial(judged.trial),
        "share": _finite(paired.share) if judged.trial.asked else None,
        "share_interval": _interval(paired.interval),
        "right_by_both": paired.both,
        "right_by_baseline_alone": paired.lost,
        "right_by_this_alone": paired.won,
        "speed_up": judged.speed_up,
        "verdict": said,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    right = trial.right
    return {
        **_candidate(trial.candidate),
        "asked": trial.asked,
        "right": sum(right),
        "cut": trial.cut,
        "accuracy_interval": _interval(wilson(sum(right), trial.asked)),
        "tokens_per_forward": trial.figure("tokens_per_forward"),
        "tokens_per_second": trial.figure("tokens_per_second"),
        "answers": [
            {"right": bool(each.right), "tokens": each.result.completion_tokens, "nfe": each.result.nfe}
            for each in trial.answers
        ],
        **({} if trial.error is None else {"error": line_of(str(trial.error))}),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "algorithm": candidate.algorithm,
        "parameters": dict(candidate.parameters),
        "effective": dict(candidate.effective),
    }


def _interval(bounds: Bounds) -> list[float | None]:
    """JSON has no infinity."""
    return [_finite(bounds.least), _finite(bounds.most)]


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
