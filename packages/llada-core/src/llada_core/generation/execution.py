"""Running prepared rows: which of them share a call, and what their steps and results are.

Rows of algorithms that share one ``steps`` function run together, whatever their parameters. Other algorithms
are opaque: one ``answers`` call per set of equal parameters, seen as one final step per row.
"""

from __future__ import annotations

import reprlib
import time
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llada_core.errors import LladaError, ParameterError
from llada_core.generation.model import Model
from llada_core.generation.prompts import Prompt, check_prompt
from llada_core.generation.results import Answer, GenerationResult, Step
from llada_core.generation.steps import RowStep, SupportsSteps

if TYPE_CHECKING:
    from llada_core.generation.algorithm import GenerationAlgorithm

__all__ = ["Job", "encode", "prepare", "run", "run_to_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row, checked and ready: ``parameters`` are effective values, ``prompt_ids`` fit the network."""

    index: int
    algorithm: GenerationAlgorithm
    prompt_ids: tuple[int, ...]
    parameters: Mapping[str, object]


def encode(
    checkpoint: Model,
    algorithm: GenerationAlgorithm,
    prompt: Prompt,
    effective: Mapping[str, object],
    *,
    raw: bool = False,
) -> list[int]:
    """The ids of ``prompt``, the algorithm's ``chat_options`` being variables of the chat template.

    One that is not at its default and that no template reads is a ``ParameterError``. Raises ``PromptError``
    and ``TokenizerMissing`` too.
    """
    options = [parameter for parameter in algorithm.parameters if parameter.name in algorithm.chat_options]
    variables = {option.name: effective[option.name] for option in options}
    unread = checkpoint.unread(prompt, variables, raw=raw)
    for option in options:
        value = variables[option.name]
        if option.name in unread and value != option.default:
            message = f"{option.name}={reprlib.repr(value)} has no effect: {unread[option.name]}"
            raise ParameterError(message, parameter=option.name, value=value)
    algorithm.check_chat(effective, read=variables.keys() - unread)
    return checkpoint.encode(prompt, raw=raw, variables=variables)


def prepare(
    checkpoint: Model,
    algorithm: GenerationAlgorithm,
    prompt: Prompt,
    parameters: Mapping[str, object],
    *,
    index: int = 0,
    raw: bool = False,
) -> Job:
    """A job whose prompt and parameters are known to be good; nothing is run.

    Raises ``ParameterError``, ``PromptError`` and ``TokenizerMissing``.
    """
    effective = algorithm.validate_args(**parameters)
    ids = encode(checkpoint, algorithm, prompt, effective, raw=raw)
    gen_length = effective.get("gen_length")
    check_prompt(ids, checkpoint.limits, gen_length=gen_length if isinstance(gen_length, int) else None)
    return Job(index=index, algorithm=algorithm, prompt_ids=tuple(ids), parameters=effective)


def run_to_end(checkpoint: Model, jobs: Sequence[Job]) -> list[GenerationResult]:
    """The results of ``jobs``, in their order."""
    results = {step.index: step.result for step in run(checkpoint, jobs) if step.result is not None}
    return [results[job.index] for job in jobs]


def run(checkpoint: Model, jobs: Iterable[Job]) -> Generator[Step, None, None]:
    """The steps of all jobs as they happen, each job's last with its result; closing it stops the work."""
    for group in _groups(jobs):
        if isinstance(group[0].algorithm, SupportsSteps):
            yield from _run_stepwise(checkpoint, group)
        else:
            yield from _run_opaque(checkpoint, group)


def _groups(jobs: Iterable[Job]) -> Iterable[list[Job]]:
    groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        groups.setdefault(_group_key(job), []).append(job)
    return groups.values()


def _group_key(job: Job) -> Hashable:
    if isinstance(job.algorithm, SupportsSteps):
        return type(job.algorithm).steps
    return type(job.algorithm), job.algorithm.name, repr(sorted(job.parameters.items()))


def _run_stepwise(checkpoint: Model, jobs: Sequence[Job]) -> Iterator[Step]:
    started = time.perf_counter()
    network = checkpoint.network
    rows = [_stepwise(job).sequence(network, list(job.prompt_ids), job.parameters) for job in jobs]
    owners = {id(row): job for row, job in zip(rows, jobs, strict=True)}
    raw_steps = _stepwise(jobs[0]).steps(network, rows)
    with closing(raw_steps):  # type: ignore[type-var]
        for raw in raw_steps:
            job = owners[id(raw.sequence)]
            yield _step(checkpoint, job, raw, time.perf_counter() - started)


def _stepwise(job: Job) -> SupportsSteps:
    assert isinstance(job.algorithm, SupportsSteps)
    return job.algorithm


def _step(checkpoint: Model, job: Job, raw: RowStep, seconds: float) -> Step:
    begin = raw.sequence.prompt_length
    # A sequence may keep columns of its own behind the answer.
    answer = raw.sequence.canvas[begin : begin + raw.sequence.gen_length]
    mask = checkpoint.limits.mask_id
    return Step(
        index=job.index,
        block=raw.block,
        positions=tuple(raw.positions),
        tokens=tuple(raw.tokens),
        confidence=tuple(raw.confidence),
        nfe=raw.nfe,
        finished=raw.finished,
        canvas=tuple(None if token == mask else token for token in answer),
        decode=checkpoint.decode,
        result=_result(checkpoint, job, answer, raw.nfe, seconds) if raw.finished else None,
    )


def _run_opaque(checkpoint: Model, jobs: Sequence[Job]) -> Iterator[Step]:
    started = time.perf_counter()
    answers = _answers(checkpoint, jobs)
    seconds = time.perf_counter() - started
    for job, answer in zip(jobs, answers, strict=True):
        result = _result(checkpoint, job, answer.token_ids, answer.nfe, seconds, warnings=answer.warnings)
        yield Step(
            index=job.index,
            block=0,
            positions=tuple(range(len(answer.token_ids))),
            tokens=answer.token_ids,
            confidence=(),
            nfe=answer.nfe,
            finished=True,
            canvas=answer.token_ids,
            decode=checkpoint.decode,
            result=result,
        )


def _answers(checkpoint: Model, jobs: Sequence[Job]) -> list[Answer]:
    """What the algorithm answers, held to what ``Answer`` promises."""
    algorithm = jobs[0].algorithm
    prompts = [job.prompt_ids for job in jobs]
    answers = algorithm.answers(checkpoint.network, prompts, jobs[0].parameters)
    if len(answers) != len(jobs):
        raise LladaError(
            f"{algorithm.name} returned {len(answers)} answers for {len(jobs)} prompts; "
            "its answers must return one Answer a prompt, in their order"
        )
    mask = checkpoint.limits.mask_id
    if any(mask in answer.token_ids for answer in answers):
        raise LladaError(
            f"{algorithm.name} left the mask token (id {mask}) in an answer; "
            "its generate must fill every position before the end token"
        )
    return answers


def _result(
    checkpoint: Model,
    job: Job,
    answer: Sequence[int],
    nfe: int,
    seconds: float,
    *,
    warnings: tuple[str, ...] = (),
) -> GenerationResult:
    token_ids, stopped = checkpoint.cut(answer)
    return GenerationResult(
        text="" if checkpoint.tokenizer is None else checkpoint.decode(token_ids),
        token_ids=token_ids,
        finish_reason="stop" if stopped else "length",
        prompt_tokens=len(job.prompt_ids),
        nfe=nfe,
        seconds=seconds,
        engine=job.algorithm.engine,
        algorithm=job.algorithm.name,
        parameters=job.parameters,
        warnings=warnings,
    )
