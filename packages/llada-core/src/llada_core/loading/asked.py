"""From prompts and parameters, as a call has them, to requests."""

from __future__ import annotations

from typing import Any

from llada_core.generation.prompt_kinds import Given
from llada_core.generation.results import GenerationRequest
from llada_core.parameters import parameters_of_row

__all__ = ["requests_for"]


def requests_for(
    given: Given, algorithm: str | None, raw: bool, params: dict[str, Any], n: int = 1
) -> list[GenerationRequest]:
    """A request for each prompt; of ``n`` answers to each, the first one's."""
    return [
        GenerationRequest(
            prompt=each, algorithm=algorithm, raw=raw, parameters=parameters_of_row(params, n * row)
        )
        for row, each in enumerate(given.prompts)
    ]
