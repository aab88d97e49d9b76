"""From what a task asks of a model to a request of the registry."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance

from llada_core.errors import UsageError
from llada_core.generation.results import GenerationRequest
from llada_core.parameters import STANDARD, Parameter, called, parameters_of_row
from llada_eval.settings import LENGTHS, Settings

__all__ = ["length_of", "numbers_of", "request_of"]

_NEUTRAL: dict[str, object] = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "diversity_penalty": 0.0,
    "no_repeat_ngram_size": 0,
    "early_stopping": False,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
}
"""Arguments of transformers' ``generate``, and at which value each changes nothing."""
_LENGTHS = ("max_gen_toks", *LENGTHS)  # the first one holds, as of lm-eval's own models


def request_of(
    settings: Settings,
    prompt: Sequence[int],
    asked: Mapping[str, Any],
    number: int,
    declared: Iterable[Parameter],
) -> GenerationRequest:
    """The request of ``prompt``, ids, with the generation arguments of its task; with a ``seed``, it draws
    from seed + ``number``.

    The settings win over the task. What the algorithm, whose parameters are ``declared``, does not take may
    be at a value that changes nothing. Raises ``UsageError``.
    """
    parameters = {**_asked(settings, asked, tuple(declared)), **settings.parameters}
    if not settings.says_length:
        parameters["gen_length"] = length_of(settings, asked)
    return GenerationRequest(
        prompt=list(prompt),
        algorithm=settings.algorithm,
        parameters=parameters_of_row(parameters, number),
        stop=_stops(asked.get("until")),
        max_length=settings.max_length,
    )


def _asked(settings: Settings, asked: Mapping[str, Any], declared: Sequence[Parameter]) -> dict[str, Any]:
    """The parameters that a task asks for; its greedy temperature of 0 is every algorithm's default."""
    rest = {
        name: value
        for name, value in asked.items()
        if name not in ("until", "do_sample", *_LENGTHS)
        and (called(name, declared) or name not in _NEUTRAL or value != _NEUTRAL[name])
    }
    said = settings.parameters.keys() & STANDARD["temperature"].names
    if asked.get("do_sample") and rest.get("temperature") is None and not said:
        raise UsageError(
            "do_sample=True names no temperature; give temperature, which is 1.0 in transformers"
        )
    if asked.get("do_sample") is False or not rest.get("temperature"):
        rest.pop("temperature", None)
    return rest


def numbers_of(requests: Sequence[Instance]) -> list[int]:
    """Of each request a number of its own, by its task, its document, its place among that one's requests,
    and how often it was there before: whatever else is asked in the call, as of a run that goes on, it is the
    same."""
    asked: Counter[str] = Counter()
    found = []
    for each in requests:
        named = f"{each.task_name}:{each.doc_id}:{each.idx}"
        found.append(random.Random(f"{named}:{asked[named]}").getrandbits(32))
        asked[named] += 1
    return found


def length_of(settings: Settings, asked: Mapping[str, Any]) -> int:
    """How many tokens an answer may have. Raises ``UsageError`` for what is no number."""
    said = [settings.parameters[name] for name in settings.parameters if name in _LENGTHS]
    said += [asked[name] for name in _LENGTHS if asked.get(name) is not None]
    length = said[0] if said else settings.max_gen_toks
    if type(length) is not int or length < 1:
        raise UsageError(f"max_gen_toks={length!r} is no number of tokens; give an integer from 1 on")
    return length


def _stops(until: object) -> tuple[str, ...]:
    """The texts that end an answer; the empty one, which some tasks name, ends none."""
    texts = [until] if isinstance(until, str) else until or []
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"until={until!r} are no texts; give a list of them")
    return tuple(text for text in texts if text)
