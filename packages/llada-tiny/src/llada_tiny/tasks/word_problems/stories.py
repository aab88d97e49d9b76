"""A collection that grows and shrinks: a start, two to four events, and what is left."""

from __future__ import annotations

import random

from ..answers import Node, over, prefer, times
from ..instance import Draft
from ..nouns import COUNTABLES, DAYS
from ..world import World, wordings
from .steps import gained, lost, packed, solution

Event = tuple[str, int, int]

_START = wordings(
    "{name} has {n} {items}.",
    "{name} starts with {n} {items}.",
    "{name} owns {n} {items}.",
    "There are {n} {items} in {name}'s box.",
    "At first {name} has {n} {items}.",
    "{name} keeps {n} {items} in a box.",
    "On {day} {name} has {n} {items}.",
    "{name} collects {items} and has {n} of them.",
    "In the beginning {name} has {n} {items}.",
    "{name} had {n} {items}.",
    "{name} brings {n} {items} to school.",
    "{name}'s box holds {n} {items}.",
    unseen=(
        "{name} has a box of {n} {items}.",
        "{n} {items} are in {name}'s box at first.",
        "{name} collects {items}. On {day} there are {n}.",
    ),
)
_EVENTS = {
    "gain": wordings(
        "{name} buys {k} more.",
        "Then {name} finds {k} more {items}.",
        "{friend} gives {name} {k} {items}.",
        "Later {name} gets {k} more from {friend}.",
        "{name} wins {k} {items} in a game.",
        "After that {name} buys another {k}.",
        "On {day} {name} finds {k} {items}.",
        "Then {friend} brings {k} {items}.",
        "{name} adds {k} {items} to the box.",
        "A week later {name} gets another {k} {items}.",
        "{k} more {items} arrive.",
        "Then {name} receives {k} {items} from {friend}.",
        "{name} is given {k} {items} by {friend}.",
        "{friend} hands {name} another {k}.",
        unseen=(
            "On {day} {name} gets {k} more {items}.",
            "Later {friend} gives {name} another {k}.",
            "After that {name} finds {k} {items}.",
            "A week later {friend} brings {k} more.",
        ),
    ),
    "loss": wordings(
        "{name} gives {k} to {friend}.",
        "Then {name} loses {k} {items}.",
        "{name} sells {k} of them.",
        "After that {name} gives away {k} {items}.",
        "{friend} takes {k} {items} from {name}.",
        "On {day} {name} sells {k} {items}.",
        "{k} of the {items} break.",
        "Later {name} loses {k}.",
        "Then {k} {items} are stolen.",
        "{name} throws away {k} {items}.",
        "{name} hands {k} {items} to {friend}.",
        "{friend} gets {k} {items} from {name}.",
        "{name} uses {k} of the {items}.",
        unseen=(
            "On {day} {name} gives {friend} {k} {items}.",
            "Later {name} sells {k} of the {items}.",
            "Then {friend} takes {k}.",
            "After that {k} of them break.",
        ),
    ),
    "packs": wordings(
        "{name} buys {m} packs of {k} {items}.",
        "Then {name} gets {m} boxes with {k} {items} each.",
        "{friend} brings {m} bags of {k} {items}.",
        "Later {name} buys {m} boxes, each with {k} {items}.",
        "{name} finds {m} bags with {k} in each.",
        "After that {m} packs with {k} {items} each arrive.",
        "{friend} gives {name} {m} packs of {k}.",
        "On {day} {name} gets {m} bags of {k} {items} each.",
        unseen=(
            "Later {friend} brings {m} boxes of {k} {items}.",
            "Then {name} buys {m} bags with {k} {items} each.",
            "On {day} {m} packs of {k} arrive.",
        ),
    ),
    "double": wordings(
        "Then {name} doubles the number of {items}.",
        "After that the number of {items} doubles.",
        "{name} then gets twice as many.",
        "Later {name} has twice as many.",
        unseen=("After that {name} has twice as many {items}.", "Then the number of {items} doubles."),
    ),
    "half": wordings(
        "Then {name} gives half of them to {friend}.",
        "{name} sells half of the {items}.",
        "After that {name} loses half of them.",
        "{friend} takes half of the {items}.",
        unseen=("Then {name} sells half of them.", "Later {friend} gets half of the {items}."),
    ),
}
_ASK = wordings(
    "How many {items} does {name} have now?",
    "How many {items} are there in the end?",
    "How many {items} are left?",
    "How many does {name} have now?",
    "What is the number of {items} now?",
    "How many {items} does {name} have at the end?",
    "Find the number of {items} at the end.",
    "Tell me how many {items} {name} has now.",
    "Count the {items} that {name} has now.",
    "How many {items} remain?",
    "Work out how many {items} {name} has in the end.",
    "How many are there now?",
    "In the end, how many {items} does {name} own?",
    "Now how many {items} does {name} have?",
    unseen=(
        "How many {items} does {name} own now?",
        "Tell me how many {items} are left in the end.",
        "At the end, how many {items} are there?",
        "Work out the number of {items} now.",
    ),
)
_ASK_FIRST = wordings(
    "How many {items} does {name} have at the end of this story?",
    "Tell me how many {items} {name} has in the end.",
    "Find out how many {items} are left.",
    "Work out the number of {items}.",
    "How many {items} are left in this story?",
    unseen=("Find the number of {items} at the end of this story.", "Count the {items} in this story."),
)


def collection(world: World) -> Draft:
    """Running total of one person's things."""
    start, events = world.draw(_numbers)
    name, items = world.name(), world.rng.choice(COUNTABLES)
    story = [world.say(_START, name=name, n=start, items=items, day=world.rng.choice(DAYS))]
    steps, total = [], start
    for event in events:
        kind, m, k = event
        fields = {
            "name": name,
            "friend": world.name(),
            "items": items,
            "day": world.rng.choice(DAYS),
            "m": m,
            "k": k,
        }
        story.append(world.say(_EVENTS[kind], **fields))
        steps += _work(event, total)
        total = _apply(event, total)
    question = _order(world, " ".join(story), name, items)
    return Draft(kind="collection", question=question, answer=solution(steps, total))


def _order(world: World, story: str, name: str, items: str) -> str:
    if world.chance(0.2):
        return world.say(_ASK_FIRST, items=items, name=name) + " " + story
    return story + ("\n" if world.chance(0.1) else " ") + world.say(_ASK, items=items, name=name)


def _numbers(rng: random.Random) -> tuple[int, tuple[Event, ...]] | None:
    start = total = rng.randint(11, 480)
    events: list[Event] = []
    for _ in range(rng.choice((2, 2, 3, 3, 4))):
        kind = rng.choice(("gain", "gain", "loss", "loss", "packs", "double", "half"))
        event = (kind, rng.randint(2, 9), rng.randint(6, 60) if kind == "packs" else rng.randint(6, 299))
        if (kind == "half" and total % 2) or (kind == "packs" and any(e[0] == "packs" for e in events)):
            return None
        total = _apply(event, total)
        if not 1 < total < 1500:
            return None
        events.append(event)
    return start, tuple(events)


def _apply(event: Event, total: int) -> int:
    kind, m, k = event
    return {
        "gain": total + k,
        "loss": total - k,
        "packs": total + m * k,
        "double": 2 * total,
        "half": total // 2,
    }[kind]


def _work(event: Event, total: int) -> list[Node]:
    kind, m, k = event
    if kind == "gain":
        return [gained(total, k)]
    if kind == "loss":
        return [lost(total, k)]
    if kind == "packs":
        return [packed(m, k), gained(total, m * k)]
    if kind == "double":
        return [prefer(f"Doubling it gives {times(2, total)}.", f"Twice that makes {times(2, total)}.")]
    return [f"Half of it is {over(total, 2)}."]
