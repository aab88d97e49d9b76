"""Decoders measured: what is asked, what each took, how two compare, and the picture of all.

One more consumer of ``LoadedModel.session``; it decodes nothing itself, and knows no program. ``llada bench``
and the benchmarks of the repository are built on it.
"""

from __future__ import annotations

from llada_core.bench.cases import Case
from llada_core.bench.comparing import Answers, Ratio, answers, ratios
from llada_core.bench.figures import FIGURES, Figure, Spread, spread
from llada_core.bench.fronts import Point, front, staircase
from llada_core.bench.intervals import Interval, difference, share
from llada_core.bench.measuring import measure, rounds, warm_case
from llada_core.bench.plot import check_can_plot, plot
from llada_core.bench.questions import Question, accepting, families, tasks
from llada_core.bench.samples import Answered, Sample
from llada_core.bench.surroundings import surroundings

__all__ = [
    "FIGURES",
    "Answered",
    "Answers",
    "Case",
    "Figure",
    "Interval",
    "Point",
    "Question",
    "Ratio",
    "Sample",
    "Spread",
    "accepting",
    "answers",
    "check_can_plot",
    "difference",
    "families",
    "front",
    "measure",
    "plot",
    "ratios",
    "rounds",
    "share",
    "spread",
    "staircase",
    "surroundings",
    "tasks",
    "warm_case",
]
