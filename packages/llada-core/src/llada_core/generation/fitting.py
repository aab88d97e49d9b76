"""Whether prompt and answer of a request fit into what the model takes, or a shorter answer does."""

from __future__ import annotations

from collections.abc import Mapping

from llada_core.generation.prompts import check_length
from llada_core.generation.results import GenerationRequest
from llada_core.generation.templates import Cloze, check_cloze

__all__ = ["fitting"]


def fitting(
    request: GenerationRequest,
    effective: Mapping[str, object],
    prompt: int,
    cloze: Cloze | None,
    limit: int | None,
) -> int | None:
    """The length that the answer to a prompt of so many tokens is to be shortened to; None where the one of
    ``effective`` parameters stays.

    ``limit`` are the tokens that are taken in all, None for any number; ``cloze`` is the answer where the
    request has a template. Raises ``PromptError`` and ``ParameterError`` for what exceeds it.
    """
    length = effective.get("gen_length")
    if limit is None or not isinstance(length, int):
        return None
    if cloze is not None:
        check_cloze(cloze, prompt, limit)
    elif request.shorten and prompt < limit < prompt + length:
        return limit - prompt
    else:
        check_length(prompt, length, limit)
    return None
