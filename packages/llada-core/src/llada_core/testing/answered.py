"""Answers of requests that are in flight together, for checks to compare. Imported only through
``LazyModule``: it needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from llada_core.generation import execution
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.parameters import parameters_of_row

__all__ = ["check_trajectory", "ended", "facts_of", "jobs_of", "results"]

_ROUNDED = 1e-5  # what float32 may make of the logarithm of 1


def results(
    algorithm: GenerationAlgorithm, model: Model, prompts: Sequence[Sequence[int]], params: Mapping[str, Any]
) -> list[tuple[tuple[int, ...], int]]:
    """Ids and NFE of the answer to each prompt, all of them in flight together.

    What is drawn without a seed is the same each time.
    """
    return [facts_of(each) for each in ended(algorithm, model, prompts, params)]


def ended(
    algorithm: GenerationAlgorithm,
    model: Model,
    prompts: Sequence[Sequence[int]],
    params: Mapping[str, Any],
    *,
    chance: int = 0,
) -> list[GenerationResult]:
    """The results of which ``results`` gives ids and NFE; ``chance`` seeds what is drawn without a seed."""
    torch.manual_seed(chance)
    return list(execution.run_to_end(model, jobs_of(algorithm, model, prompts, params)))


def facts_of(result: GenerationResult) -> tuple[tuple[int, ...], int]:
    """Ids and NFE."""
    return tuple(result.token_ids), result.nfe


def jobs_of(
    algorithm: GenerationAlgorithm,
    model: Model,
    prompts: Sequence[Sequence[int]],
    params: Mapping[str, Any],
    *,
    first: int = 0,
    trajectory: bool = False,
) -> list[Job]:
    """A request for each prompt, numbered from ``first``, with the parameters of its row."""
    return [
        algorithm.prepare(
            model,
            GenerationRequest(
                prompt=list(ids), parameters=parameters_of_row(params, row), trajectory=trajectory
            ),
            index=first + row,
        )
        for row, ids in enumerate(prompts)
    ]


def check_trajectory(result: GenerationResult) -> None:
    """Check what the result tells of when its tokens were committed, where it does."""
    found = result.trajectory
    if found is None:
        return
    odd = next((at for at in found.committed_at if not 1 <= at <= result.nfe), None)
    assert odd is None, (
        f"its steps say that forward {odd} wrote a token, and the row took {result.nfe}; let nfe of a step "
        "be how many forwards the row has taken part in, that one included"
    )
    for log in (*(found.log_probabilities or ()), *(found.drawn_log_probabilities or ())):
        assert log <= _ROUNDED, (
            f"its steps tell a log-probability of {log}; tell natural logarithms of probabilities"
        )
