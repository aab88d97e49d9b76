"""Prompts of a call, or some of our own: texts, or made-up ids for a model without a tokenizer."""

from __future__ import annotations

import random
from collections.abc import Sequence

from llada_core.cli.prompts import Entry, prompts_of_file
from llada_core.generation.model import Model
from llada_core.generation.prompts import Prompt

__all__ = ["TEXTS", "prompts_for", "prompts_or_own"]

TEXTS = (
    "Nora has 14 boxes with 12 pens each. She gives away 35 pens. How many pens are left?",
    "Sort these numbers from small to large: 91, 17, 58, 33, 76, 24.",
    "Hello, who are you?",
    "Extract the name and the age as JSON: Milo Terran is 34 years old and lives in Oslo.",
)
"""Of different lengths, so that rows of a batch are ragged."""

_LENGTHS = (5, 1, 19, 8)
_USABLE = 64  # ids are drawn from the first of the vocabulary where its size is not known


def prompts_for(model: Model, file: str | None, *, seed: int) -> Sequence[Entry]:
    """Those of ``file``, or else our own. Raises ``UsageError`` and ``PromptError`` for a file of which they
    cannot be read."""
    return prompts_or_own(model, None if file is None else prompts_of_file(file), seed)


def prompts_or_own(model: Model, given: Sequence[Entry] | None, seed: int) -> Sequence[Entry]:
    """What is ``given``, else texts of our own; for a model without a tokenizer, ids drawn from ``seed``."""
    if given is not None:
        return given
    own: Sequence[Prompt] = TEXTS if model.tokenizer is not None else _made_up(model, seed)
    return [Entry(prompt=prompt) for prompt in own]


def _made_up(model: Model, seed: int) -> list[list[int]]:
    """Ids of the vocabulary but the mask's and those that end answers."""
    special = {model.limits.mask_id, *model.end_ids}
    usable = [token for token in range(model.limits.vocab_size or _USABLE) if token not in special]
    source = random.Random(seed)
    return [source.choices(usable, k=length) for length in _LENGTHS]
