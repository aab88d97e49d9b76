"""What may be in an answer, whoever made it: None, or what is wrong with it, ending with the remedy."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from llada_core.generation.prompts import Limits
from llada_core.generation.results import Answer

__all__ = ["problem_of", "why_no_count"]


def problem_of(answer: object, limits: Limits, *, gen_length: int | None) -> str | None:
    """What is wrong with an answer of ``gen_length`` tokens at most (None: of any number), ending with what
    its algorithm must do; None where nothing is."""
    if not isinstance(answer, Answer):
        return f"it answered {reprlib.repr(answer)}; its answers must return one Answer a prompt"
    ids = answer.token_ids
    if not isinstance(ids, tuple) or not all(type(token) is int for token in ids):
        return f"its Answer holds {reprlib.repr(ids)}; token_ids must be a tuple of integers"
    if gen_length is not None and len(ids) > gen_length:
        return (
            f"it answered with {len(ids)} tokens for gen_length={gen_length}; "
            "return at most gen_length columns behind the prompt"
        )
    if limits.mask_id in ids:
        return (
            f"it left the mask token (id {limits.mask_id}) in an answer; "
            "its generate must fill every position before the end token"
        )
    outside = _outside(ids, limits.vocab_size)
    return outside or why_no_count(answer.nfe) or _no_sentences(answer.warnings)


def _outside(ids: Sequence[int], vocab_size: int | None) -> str | None:
    if ids and (min(ids) < 0 or (vocab_size is not None and max(ids) >= vocab_size)):
        wrong = min(ids) if min(ids) < 0 else max(ids)
        upper = "" if vocab_size is None else f" to {vocab_size - 1}"
        return f"it answered with id {wrong}, which is out of the vocabulary; return ids from 0{upper}"
    return None


def why_no_count(nfe: object) -> str | None:
    """Why this is no count of forwards, ending with the remedy; None where it is one."""
    if type(nfe) is not int:
        return f"it counts {reprlib.repr(nfe)} forwards (a {type(nfe).__name__}); return nfe as an int"
    return None if nfe >= 1 else f"it counts {nfe} forwards; return how often the network was run, 1 or more"


def _no_sentences(warnings: object) -> str | None:
    if isinstance(warnings, tuple) and all(isinstance(each, str) for each in warnings):
        return None
    return f"its Answer warns of {reprlib.repr(warnings)}; warnings must be a tuple of sentences"
