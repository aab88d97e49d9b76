"""Running prepared rows: which of them share a call, and what their steps and results are.

Rows of algorithms that share one ``steps`` function run together, whatever their parameters. Other algorithms
are opaque: one ``generate`` call per set of equal parameters, seen as one final step per row.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llada_core.checkpoint import Checkpoint
from llada_core.errors import LladaError
from llada_core.lazy import LazyModule
from llada_core.prompts import Prompt, check_prompt
from llada_core.results import Canvas, GenerationResult, Step
from llada_core.stepwise import RowStep, SupportsSteps

if TYPE_CHECKING:
    from llada_core import tensors
    from llada_core.algorithm import GenerationAlgorithm
else:
    tensors = LazyModule("llada_core.tensors")

__all__ = ["Job", "prepare", "run", "run_to_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row, checked and ready: ``parameters`` are effective values, ``prompt_ids`` fit the network."""

    index: int
    algorithm: GenerationAlgorithm
    prompt_ids: tuple[int, ...]
    parameters: Mapping[str, object]


def prepare(
    checkpoint: Checkpoint,
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
    ids = checkpoint.encode(prompt, raw=raw)
    gen_length = effective.get("gen_length")
    check_prompt(ids, checkpoint.limits, gen_length=gen_length if isinstance(gen_length, int) else None)
    return Job(index=index, algorithm=algorithm, prompt_ids=tuple(ids), parameters=effective)


def run_to_end(checkpoint: Checkpoint, jobs: Sequence[Job]) -> list[GenerationResult]:
    """The results of ``jobs``, in their order."""
    results = {step.index: step.result for step in run(checkpoint, jobs) if step.result is not None}
    return [results[job.index] for job in jobs]


def run(checkpoint: Checkpoint, jobs: Iterable[Job]) -> Generator[Step, None, None]:
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


def _run_stepwise(checkpoint: Checkpoint, jobs: Sequence[Job]) -> Iterator[Step]:
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


def _step(checkpoint: Checkpoint, job: Job, raw: RowStep, seconds: float) -> Step:
    answer = raw.sequence.canvas[raw.sequence.prompt_length :]
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


def _run_opaque(checkpoint: Checkpoint, jobs: Sequence[Job]) -> Iterator[Step]:
    started = time.perf_counter()
    answers, nfe = _generate(checkpoint, jobs)
    seconds = time.perf_counter() - started
    for job, answer in zip(jobs, answers, strict=True):
        canvas: Canvas = tuple(answer)
        yield Step(
            index=job.index,
            block=0,
            positions=tuple(range(len(answer))),
            tokens=tuple(answer),
            confidence=(),
            nfe=nfe,
            finished=True,
            canvas=canvas,
            decode=checkpoint.decode,
            result=_result(checkpoint, job, answer, nfe, seconds),
        )


def _generate(checkpoint: Checkpoint, jobs: Sequence[Job]) -> tuple[list[list[int]], int]:
    algorithm = jobs[0].algorithm
    device: Any = getattr(checkpoint.network, "device", None)
    ids, mask = tensors.pad_left([job.prompt_ids for job in jobs], checkpoint.pad_id, device)
    output_ids, nfe = algorithm.generate(checkpoint.network, ids, attention_mask=mask, **jobs[0].parameters)
    answers = tensors.answer_rows(output_ids, ids.shape[1])
    if len(answers) != len(jobs):
        raise LladaError(
            f"{algorithm.name} returned {len(answers)} rows for {len(jobs)} prompts; "
            "its generate must return ids of shape [B, P+G], prompt columns included"
        )
    return answers, nfe


def _result(
    checkpoint: Checkpoint, job: Job, answer: Sequence[int], nfe: int, seconds: float
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
    )
