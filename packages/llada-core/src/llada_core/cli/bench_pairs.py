"""The two settings that ``bench --compare`` names, and the ratios of what was measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llada_core import registry
from llada_core.bench import FIGURES, Answers, Ratio, Sample, answers, ratios
from llada_core.bench.comparing import LEAST_PAIRS
from llada_core.cli.bench_trials import Trial
from llada_core.cli.settings import Setting, labels
from llada_core.cli.streams import line_of
from llada_core.errors import UnknownAlgorithm, UsageError

__all__ = ["NotCompared", "Pair", "compared_first", "not_compared", "pairs_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two trials that were measured in so many ``rounds``: the ratios of their figures, and the questions
    that one of them answered right more often; None where it is not known which answers are right."""

    first: Trial
    second: Trial
    rounds: int
    ratios: Sequence[Ratio]
    answers: Answers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompared:
    """Two trials of which no ratio can be told, and the ``reason``: one failed, or Ctrl-C left too few
    pairs."""

    first: Trial
    second: Trial
    reason: str


def compared_first(settings: Sequence[Setting], names: tuple[str, str]) -> list[Setting]:
    """The settings, those that ``names`` mean before the others.

    A name is a setting's label, its number from 1 on, or the algorithm of one only. Raises ``UsageError``
    where it means none or several, and where both mean the same.
    """
    called = labels(settings)
    first, second = (_meant(name, settings, called) for name in names)
    if first == second:
        raise UsageError(f"--compare: {names[0]} and {names[1]} are both {called[first]}; name two settings")
    others = [each for number, each in enumerate(settings) if number not in (first, second)]
    return [settings[first], settings[second], *others]


def pairs_of(trials: Sequence[Trial]) -> list[Pair]:
    """Of each length and batch, the trials of the first two settings, compared; ``not_compared`` has those
    that cannot be."""
    return [_pair(*both) for both in _both(trials) if _why_not(*both) is None]


def not_compared(trials: Sequence[Trial]) -> list[NotCompared]:
    """Of each length and batch, the trials of the first two settings where these are not compared."""
    return [
        NotCompared(first=first, second=second, reason=reason)
        for first, second in _both(trials)
        if (reason := _why_not(first, second)) is not None
    ]


def _both(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Trial]]:
    firsts = [trial for trial in trials if trial.setting == 0]
    seconds = [trial for trial in trials if trial.setting == 1]
    return zip(firsts, seconds, strict=True)


def _why_not(first: Trial, second: Trial) -> str | None:
    failed = [(name, each.error) for name, each in (("A", first), ("B", second)) if each.error is not None]
    if failed:
        return "; ".join(f"{name} failed: {line_of(str(error))}" for name, error in failed)
    count = min(len(first.samples), len(second.samples))
    if count < LEAST_PAIRS:
        return f"{count} round(s) of both show nothing for sure; it takes {LEAST_PAIRS}"
    return None


def _pair(first: Trial, second: Trial) -> Pair:
    """The two over the rounds that both have."""
    count = min(len(first.samples), len(second.samples))
    ones, others = first.samples[:count], second.samples[:count]
    return Pair(
        first=first,
        second=second,
        rounds=count,
        ratios=list(_ratios(ones, others)),
        answers=answers(ones, others),
    )


def _ratios(first: Sequence[Sample], second: Sequence[Sample]) -> Iterator[Ratio]:
    """Those of all figures but accuracy, which questions tell and not rounds."""
    for figure in FIGURES.values():
        if figure.better is None or figure.name == "accuracy":
            continue
        ratio = ratios(first, second, figure)
        if ratio is not None:
            yield ratio


def _meant(name: str, settings: Sequence[Setting], called: Sequence[str]) -> int:
    if name in called:
        return called.index(name)
    if name.isdecimal() and 1 <= int(name) <= len(settings):
        return int(name) - 1
    found = [number for number, each in enumerate(settings) if each.algorithm == _algorithm(name)]
    if len(found) == 1:
        return found[0]
    what = "means several settings" if found else "means no setting"
    numbered = ", ".join(f"{number} ({label})" for number, label in enumerate(called, start=1))
    raise UsageError(f"--compare: {name} {what}; give the numbers of two: {numbered}")


def _algorithm(name: str) -> str | None:
    try:
        return registry.get_algorithm_info(name).name
    except UnknownAlgorithm:
        return name
