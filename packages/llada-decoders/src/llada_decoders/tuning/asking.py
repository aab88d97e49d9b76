"""Questions whose right answers are known, and trials asked them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llada_core.bench import Case, Question, families, measure, tasks, warm_case
from llada_core.cli.bench_questions import asked_questions, whose_tasks
from llada_core.cli.progress import prompts_bar
from llada_core.errors import UsageError
from llada_core.loading import LoadedModel
from llada_decoders.tuning.candidates import Candidate
from llada_decoders.tuning.trials import Trial

__all__ = ["Asking", "Questions", "questions_of_file", "questions_of_tasks"]

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """In the order in which all are asked them; ``source`` says in words whose they are."""

    asked: Sequence[Question]
    source: str


def questions_of_file(file: str, count: int | None, otherwise: int, seed: int) -> Questions:
    """``count`` of a file's questions, those that ``seed`` draws; None: ``otherwise``, or as many as there
    are. Raises ``UsageError`` where it has fewer, or does not say which answers are right, and
    ``PromptError``.
    """
    found, source = asked_questions(file, None, (), model=None)
    unknown = [each for each in found if each.accepts is None]
    if unknown:
        more = f" and of {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UsageError(
            f"{unknown[0].source or source}{more}: which answers are right is not known, so no accuracy is; "
            'give each line what is "expected", in JSON lines'
        )
    if count is not None and count > len(found):
        raise UsageError(
            f"{source} has {len(found)} question(s), fewer than {count}; give a smaller --budget"
        )
    random.Random(seed).shuffle(found)
    return Questions(asked=found[: otherwise if count is None else count], source=source)


def questions_of_tasks(of: Sequence[str], count: int, seed: int, *, wheel: str) -> Questions:
    """``count`` held-out instances of the tasks of ``wheel``, of the families ``of`` in turn; none or "all":
    of all. Raises ``UsageError`` and ``ModelNotFound``.
    """
    named = [name for name in dict.fromkeys(of) if name != ALL]
    chosen = named if named and ALL not in of else list(families(wheel))
    each = -(-count // len(chosen))
    found = tasks(each, chosen, seed=seed, wheel=wheel)
    in_turn = [found[family * each + number] for number in range(each) for family in range(len(chosen))]
    source = f"{whose_tasks(wheel)}, {', '.join(named) if chosen == named else 'all families'}"
    return Questions(asked=in_turn[:count], source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How trials are asked: ``rows`` in flight at a time; where time counts, each answers a batch before, so
    that what is made on first use is nobody's time."""

    lm: LoadedModel
    questions: Sequence[Question]
    rows: int
    raw: bool
    timed: bool

    def ask(self, trials: Sequence[Trial], size: int, label: str) -> None:
        """Bring every trial to ``size`` questions, each only those that it was not asked yet.

        A trial that fails keeps its error, and the others are asked.
        """
        waiting = [trial for trial in trials if trial.error is None and trial.asked < size]
        with prompts_bar(label, sum(size - trial.asked for trial in waiting)) as bar:
            for trial in waiting:
                try:
                    self._ask(trial, self.questions[trial.asked : size], bar.advance)
                except Exception as exc:  # of this candidate
                    trial.error = exc

    def _ask(self, trial: Trial, questions: Sequence[Question], told: Callable[[int], None]) -> None:
        case = self._case(trial.candidate, len(questions))
        if self.timed and not trial.samples:
            warm_case(self.lm, case, questions, raw=self.raw)
        trial.take(measure(self.lm, case, questions, raw=self.raw, told=told))

    def _case(self, candidate: Candidate, questions: int) -> Case:
        return Case(
            label=candidate.label,
            algorithm=candidate.algorithm,
            parameters=candidate.parameters,
            rows=min(self.rows, questions),
        )
