"""The cases of a call of ``bench``, and the samples of each: measured in rounds, each case once a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llada_core.bench import Case, Question, Sample, measure, rounds, warm_case
from llada_core.bench.measuring import filled
from llada_core.cli.progress import busy_bar, prompts_bar
from llada_core.cli.settings import Setting, labels
from llada_core.loading import LoadedModel

__all__ = ["Method", "Trial", "complete_rounds", "run_trials", "told_cut", "trials_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What is asked, how, and how often: ``raw`` leaves the chat template out, ``source`` says in words whose
    questions they are."""

    questions: Sequence[Question]
    source: str
    raw: bool
    repeats: int
    warm_up: int

    def asked(self, rows: int) -> int:
        """How many questions a case of so many rows answers in a round."""
        return len(filled(self.questions, rows))


@dataclass(slots=True, kw_only=True)
class Trial:
    """A case in work: its ``setting`` is which of the call's it is, ``samples`` what was measured so far.

    ``error`` is why nothing more is measured of it.
    """

    case: Case
    setting: int
    samples: list[Sample] = field(default_factory=list)
    error: Exception | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The effective values, those of the first row; what the call gives before there is an answer."""
        if not self.samples:
            return dict(self.case.parameters)
        return dict(self.samples[0].answers[0].result.parameters)

    @property
    def gen_length(self) -> int | None:
        """The length of an answer at most; None where its algorithm knows no such thing."""
        length = self.parameters.get("gen_length")
        return length if isinstance(length, int) else None

    @property
    def warnings(self) -> list[str]:
        """What the algorithm tells of its answers, each sentence once."""
        answers = [answer for sample in self.samples for answer in sample.answers]
        return list(dict.fromkeys(told for answer in answers for told in answer.result.warnings))

    @property
    def cut(self) -> str | None:
        """That answers have no end token, as they may have no more tokens; None where all have one."""
        return told_cut(self.samples, self.gen_length, "answers", "--gen-length, or -p gen_length,")

    @property
    def waited(self) -> str | None:
        """That rows had to wait for memory, so that fewer were in flight than the case says; None where none
        had."""
        most = max((sample.rows for sample in self.samples), default=self.case.rows)
        if most >= self.case.rows:
            return None
        return f"{most} of {self.case.rows} rows were in flight together at most: the memory holds no more"


def trials_of(
    lm: LoadedModel, settings: Sequence[Setting], lengths: Sequence[int], batches: Sequence[int]
) -> list[Trial]:
    """A trial of every setting for every length and number of rows, settings side by side.

    No length is the algorithm's own, or the one that the setting gives.
    """
    named = [replace(each, algorithm=lm.algorithm(each.algorithm).name) for each in settings]
    called = labels(named)
    wanted: list[int | None] = [*lengths] or [None]
    return [
        Trial(setting=number, case=Case(label=label, algorithm=each.algorithm, parameters=given, rows=rows))
        for rows in batches
        for length in wanted
        for number, (each, label) in enumerate(zip(named, called, strict=True))
        for given in [{**each.parameters, **({} if length is None else {"gen_length": length})}]
    ]


def complete_rounds(trials: Sequence[Trial]) -> int:
    """How many rounds are behind all trials, but for those that failed."""
    return min((len(trial.samples) for trial in trials if trial.error is None), default=0)


def run_trials(lm: LoadedModel, trials: Sequence[Trial], method: Method) -> None:
    """Warm every trial up, then measure all of them in as many rounds as the method has repeats."""
    with busy_bar("Warming up"):
        for trial in trials:
            _warm_up(lm, trial, method)
    by_case = {id(trial.case): trial for trial in trials}
    answers = sum(method.asked(trial.case.rows) for trial in trials) * method.repeats
    with prompts_bar("Measuring", answers) as bar:
        for cases in rounds([trial.case for trial in trials], method.repeats):
            for case in cases:
                trial = by_case[id(case)]
                if trial.error is None:
                    _measure(lm, trial, method, bar.advance)


def _warm_up(lm: LoadedModel, trial: Trial, method: Method) -> None:
    try:
        warm_case(lm, trial.case, method.questions, times=method.warm_up, raw=method.raw)
    except Exception as exc:  # of this case: the others are measured
        trial.error = exc


def _measure(lm: LoadedModel, trial: Trial, method: Method, told: Any) -> None:
    try:
        trial.samples.append(measure(lm, trial.case, method.questions, raw=method.raw, told=told))
    except Exception as exc:  # likewise
        trial.error = exc


def told_cut(samples: Sequence[Sample], length: int | None, whose: str, flag: str) -> str | None:
    """That answers have no end token, and which flag gives them room for it; None where all have one."""
    cut = sum(sample.cut for sample in samples)
    if not cut:
        return None
    answers, within = sum(len(sample.answers) for sample in samples), f" within {length} tokens"
    return (
        f"{cut} of {answers} {whose} have no end{'' if length is None else within}; raise {flag} where they "
        "are to be whole"
    )
