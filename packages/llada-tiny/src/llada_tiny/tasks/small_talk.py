"""Greetings and small talk."""

from __future__ import annotations

from .answers import Node, prefer, seq
from .instance import Draft, Intent
from .intents import INTENTS
from .world import World


def make(world: World) -> Draft:
    """A greeting or some small talk, and the polite replies."""
    intent = world.rng.choice(INTENTS)
    name = world.name()
    said = world.say(intent.said, name=name)
    if world.chance(0.15):
        said = said.rstrip(".!?") + world.rng.choice(("", "!", "!!", "...", " :)"))
    if world.chance(0.15) and name not in said:
        said = said.lower()
    return Draft(kind=intent.kind, question=said, answer=reply(intent, name))


def reply(intent: Intent, name: str = "") -> Node:
    """Every polite reply to the intent."""
    first, second = ([option.replace("{name}", name) for option in options] for options in intent.replies)
    return seq(first[0], " ", prefer(*second))
