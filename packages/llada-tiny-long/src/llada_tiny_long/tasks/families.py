"""The families by name, the training stream, and the held-out sets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from llada_tiny import tasks as short
from llada_tiny.tasks import Instance, Phrasings
from llada_tiny.tasks.answers import sample
from llada_tiny.tasks.dressing import dress, small_context
from llada_tiny.tasks.instance import Draft, user
from llada_tiny.tasks.world import World

from . import chains, columns, equations, lists, plans, programs, tables

_MAKERS: dict[str, Callable[[World], Draft]] = {
    "chains": chains.make,
    "columns": columns.make,
    "equations": equations.make,
    "tables": tables.make,
    "lists": lists.make,
    "plans": plans.make,
    "programs": programs.make,
}
FAMILIES = tuple(_MAKERS)
# How often training sees a family: long calculations are wrong where one digit is, so they come more often.
_SHARES = {
    "chains": 3,
    "columns": 3,
    "equations": 2.5,
    "tables": 2.5,
    "lists": 3,
    "plans": 2.5,
    "programs": 2.5,
}
_SHORT_SHARE = 0.15  # of the training examples that are llada-tiny's: what it can, it goes on doing
_CONTEXT_SHARE = 0.1  # of the others that get a system line or an earlier turn


def held_out(family: str, n: int, seed: int = 0, phrasings: Phrasings = "seen") -> list[Instance]:
    """`n` instances of a family with number combinations and names that training never sees.

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
    """Training examples without end, llada-tiny's own among them; the same seed gives the same stream."""
    rng = random.Random(f"training/{seed}")
    others = short.training_stream(seed)
    names, weights = list(_SHARES), list(_SHARES.values())
    while True:
        if rng.random() < _SHORT_SHARE:
            yield next(others)
            continue
        world = World(rng, held_out=False, unseen_phrasings=False)
        family = rng.choices(names, weights)[0]
        yield _instance(family, world, context=world.chance(_CONTEXT_SHARE))


def _instance(family: str, world: World, *, context: bool = False) -> Instance:
    draft = _MAKERS[family](world)
    earlier = small_context(world) if context else ()
    messages = (*earlier, user(dress(world, draft.question)))
    reference = sample(draft.answer, world.rng)
    return Instance(
        family=family, kind=draft.kind, messages=messages, answer=draft.answer, reference=reference
    )
