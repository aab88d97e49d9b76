"""The families by name, the training stream, and the held-out sets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Literal

from . import chat, json_extraction, lists, out_of_scope, python_functions, reading, small_talk, word_problems
from .answers import sample
from .dressing import dress, small_context
from .instance import Draft, Instance, user
from .world import World

Phrasings = Literal["seen", "unseen"]

_MAKERS: dict[str, Callable[[World], Draft]] = {
    "word_problems": word_problems.make,
    "lists": lists.make,
    "reading": reading.make,
    "json": json_extraction.make,
    "python": python_functions.make,
    "small_talk": small_talk.make,
    "chat": chat.make,
    "out_of_scope": out_of_scope.make,
}
FAMILIES = tuple(_MAKERS)
# How often training sees a family: the ones that need arithmetic or copying are the hard ones.
_SHARES = {
    "word_problems": 14,
    "lists": 9,
    "reading": 5,
    "json": 3,
    "python": 2,
    "small_talk": 1.5,
    "chat": 5,
    "out_of_scope": 2,
}
_CONTEXT_SHARE = (
    0.15  # of training examples outside the chat family that get a system line or an earlier turn
)


def held_out(family: str, n: int, seed: int = 0, phrasings: Phrasings = "seen") -> list[Instance]:
    """`n` instances of a family with names and number combinations that training never sees.

    With ``phrasings="unseen"`` the wordings are ones that training never sees, too. The same arguments give
    the same instances on every machine. Raises ValueError for an unknown family.
    """
    if family not in _MAKERS:
        raise ValueError(f"unknown family {family!r}; known are {', '.join(FAMILIES)}")
    rng = random.Random(f"{family}/{phrasings}/{seed}")
    return [
        _instance(family, World(rng, held_out=True, unseen_phrasings=phrasings == "unseen")) for _ in range(n)
    ]


def training_stream(seed: int) -> Iterator[Instance]:
    """Training examples without end; the same seed gives the same stream."""
    rng = random.Random(f"training/{seed}")
    names, weights = list(_SHARES), list(_SHARES.values())
    while True:
        family = rng.choices(names, weights)[0]
        world = World(rng, held_out=False, unseen_phrasings=False)
        yield _instance(family, world, context=family != "chat" and world.chance(_CONTEXT_SHARE))


def _instance(family: str, world: World, *, context: bool = False) -> Instance:
    draft = _MAKERS[family](world)
    question = draft.question if family == "small_talk" else dress(world, draft.question)
    earlier = small_context(world) if context else draft.earlier
    reference = sample(draft.answer, world.rng)
    messages = (*earlier, user(question))
    return Instance(
        family=family, kind=draft.kind, messages=messages, answer=draft.answer, reference=reference
    )
