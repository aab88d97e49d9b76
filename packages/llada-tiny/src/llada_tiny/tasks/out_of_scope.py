"""Everything else: an honest "I can only …"."""

from __future__ import annotations

from .answers import Node, prefer, seq
from .instance import Draft
from .intents import SKILLS
from .nouns import ALL_NOUNS, MONTHS
from .out_of_scope_wordings import ASKED
from .topics import FREQUENT, LAND, LANGUAGES, PEOPLE, TOPICS
from .world import World, is_held_out

REFUSAL: Node = seq(f"I can only help with {SKILLS}.", prefer("", " Please ask me one of those."))


def make(world: World) -> Draft:
    """A prompt that the model was not made for: a request or two, or words without a meaning."""
    kind = world.rng.random()
    if kind < 0.7:
        question = _request(world)
    elif kind < 0.85:
        question = f"{_request(world)} {_request(world)}"
    else:
        question = _salad(world)
    return Draft(
        kind="refusal",
        question=question[0].upper() + question[1:] if world.chance(0.85) else question,
        answer=REFUSAL,
    )


def _request(world: World) -> str:
    t, u = _topic(world), _topic(world)
    fields = {
        "t": t,
        "u": u,
        "person": world.rng.choice(PEOPLE),
        "lang": world.rng.choice(LANGUAGES),
        "land": world.rng.choice(LAND),
        "town": world.town(),
        "name": world.name(),
    }
    words = {
        "word": world.word(),
        "word2": world.word(),
        "word3": world.word(),
        "n": world.rng.randint(2, 999),
        "m": world.rng.randint(2, 999),
        "year": world.rng.randint(1500, 2060),
        "month": world.rng.choice(MONTHS),
    }
    return world.say(ASKED, **fields, **words)


def _salad(world: World) -> str:
    """Three to twelve words of any kind, then perhaps a question mark."""
    words = [_any_word(world) for _ in range(world.rng.randint(3, 12))]
    return " ".join(words) + world.rng.choice(("", ".", "?", "!"))


def _any_word(world: World) -> str:
    kind = world.rng.random()
    if kind < 0.3:
        return world.word()
    if kind < 0.6:
        return _topic(world)
    return world.rng.choice(FREQUENT if kind < 0.85 else ALL_NOUNS)


def _topic(world: World) -> str:
    """A topic of this split, or an invented word."""
    if world.chance(0.15):
        return world.word()
    while True:
        topic = world.rng.choice(TOPICS)
        if is_held_out(topic) == world.held_out:
            return topic
