"""Many answers to each of many prompts, as they end. No more rows are made than are in flight."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from llada_core.errors import GenerationError, ParameterError, PromptError, UsageError
from llada_core.generation.execution import Execution
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.outcomes import located
from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step
from llada_core.parameters import parameters_of_row
from llada_core.values import shown

__all__ = ["Rollout", "check_count", "rollouts", "samples_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One answer of ``LoadedModel.rollouts``.

    Attributes:
        prompt: which of the prompts it answers, from 0 on.
        sample: which of the answers to this prompt it is, from 0 to n - 1.
        result: the answer; None where its row failed.
        error: why it failed.
    """

    prompt: int
    sample: int
    result: GenerationResult | None
    error: GenerationError | None


def check_count(n: object) -> None:
    """Refuse what is no number of answers to a prompt. Raises ``UsageError``."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UsageError(f"n={shown(n)} is no number of answers to a prompt; give an integer from 1 on")


def samples_of(job: Job, n: int, params: Mapping[str, object]) -> Iterable[Job]:
    """``n`` jobs of one that is ready, numbered from its ``index`` on; ``params`` are what the call gave.

    Where that has a ``seed``, each draws from ``seed`` and its number.
    """
    for index in range(job.index, job.index + n):
        seed = parameters_of_row(params, index).get("seed")
        seeded = job.parameters if seed is None else {**job.parameters, "seed": seed}
        yield replace(job, index=index, parameters=seeded)


def rollouts(
    model: Model,
    jobs: Sequence[Job],
    params: Mapping[str, object],
    *,
    n: int,
    rows: int,
    columns: int | None,
) -> Generator[Rollout, None, None]:
    """The answers to each of ``jobs``, ``n`` of each, as they end; closing it ends those in flight.

    Raises ``UsageError`` where the model takes no requests, as it may between two answers.
    """
    execution = Execution(model, rows=rows, columns=columns)
    try:
        for sample in (sample for job in jobs for sample in samples_of(job, n, params)):
            while execution.active >= rows:  # also of those that failed when they were made
                yield from _ended(execution.step(), n)
            try:
                execution.submit(sample)
            except (PromptError, ParameterError) as exc:  # refused; the others can be answered
                yield _refused(located(exc, sample), n)
        while execution.active:
            yield from _ended(execution.step(), n)
    finally:
        execution.abandon()


def _refused(error: GenerationError, n: int) -> Rollout:
    assert error.row is not None
    prompt, sample = divmod(error.row, n)
    return Rollout(prompt=prompt, sample=sample, result=None, error=error)


def _ended(steps: Iterable[Step], n: int) -> Iterable[Rollout]:
    for step in steps:
        if step.finished:
            prompt, sample = divmod(step.ticket.index, n)
            error = step.error
            assert error is None or isinstance(error, GenerationError), "every error of a row is located"
            yield Rollout(prompt=prompt, sample=sample, result=step.result, error=error)
