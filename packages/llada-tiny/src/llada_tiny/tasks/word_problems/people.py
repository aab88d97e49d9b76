"""Comparing what people have, and sharing it."""

from __future__ import annotations

import random

from ..answers import Node, minus, plus, times
from ..instance import Draft
from ..nouns import COUNTABLES
from ..world import World, wordings
from .steps import gained, packed, shared, solution, summed_evenly

_HAS = wordings(
    "{a} has {n} {items}.",
    "{a} owns {n} {items}.",
    "{a} collects {n} {items}.",
    "There are {n} {items} in {a}'s bag.",
    "{a} has a box with {n} {items}.",
    "{a} found {n} {items}.",
    unseen=("{a} has a bag with {n} {items}.", "{n} {items} are in {a}'s bag."),
)
_RELATION = {
    "more": wordings(
        "{b} has {k} more than {a}.",
        "{b} has {k} {items} more than {a}.",
        "{b} owns {k} more {items} than {a}.",
        "{b} has as many as {a} and {k} more.",
        "Compared to {a}, {b} has {k} more.",
        unseen=("{b} owns {k} more than {a}.", "Compared to {a}, {b} has {k} {items} more."),
    ),
    "fewer": wordings(
        "{b} has {k} fewer than {a}.",
        "{b} has {k} {items} fewer than {a}.",
        "{b} owns {k} fewer {items} than {a}.",
        "{b} has {k} less than {a}.",
        "Compared to {a}, {b} has {k} fewer.",
        unseen=("{b} owns {k} fewer than {a}.", "Compared to {a}, {b} has {k} {items} fewer."),
    ),
    "times": wordings(
        "{b} has {k} times as many as {a}.",
        "{b} has {k} times as many {items} as {a}.",
        "{b} owns {k} times as many as {a}.",
        "{b} has {k} times the number of {a}.",
        "Compared to {a}, {b} has {k} times as many.",
        unseen=(
            "{b} owns {k} times as many {items} as {a}.",
            "Compared to {a}, {b} has {k} times the number.",
        ),
    ),
}
_ASK_ALL = wordings(
    "How many do they have together?",
    "How many {items} do they have in total?",
    "How many {items} is that altogether?",
    "What is the total number of {items}?",
    "Find how many {items} they own together.",
    "How many {items} do all of them have?",
    "Tell me how many there are altogether.",
    "Altogether, how many {items} do they have?",
    "Count all the {items}.",
    "Work out the total.",
    unseen=(
        "How many {items} do they own in total?",
        "Work out the total number of {items}.",
        "Tell me how many {items} they have together.",
    ),
)


def compare(world: World) -> Draft:
    """A chain of people, each compared with the one before, then the sum."""

    def numbers(rng: random.Random) -> tuple[int, tuple[tuple[str, int], ...]] | None:
        first, relations = rng.randint(8, 180), []
        last = first
        for _ in range(rng.choice((1, 2, 2))):
            kind = rng.choice(("more", "fewer", "times"))
            k = rng.randint(2, 6) if kind == "times" else rng.randint(3, 120)
            last = {"more": last + k, "fewer": last - k, "times": last * k}[kind]
            relations.append((kind, k))
            if not 1 < last < 900:
                return None
        return first, tuple(relations)

    value, relations = world.draw(numbers)
    people, items = world.names(len(relations) + 1), world.rng.choice(COUNTABLES)
    story = [world.say(_HAS, a=people[0], n=value, items=items)]
    steps: list[Node] = []
    values = [value]
    for (kind, k), a, b in zip(relations, people, people[1:], strict=False):
        story.append(world.say(_RELATION[kind], a=a, b=b, k=k, items=items))
        work = {"more": plus, "fewer": minus, "times": times}[kind](value, k)
        steps.append(f"{b} has {work}.")
        value = {"more": value + k, "fewer": value - k, "times": value * k}[kind]
        values.append(value)
    total = values[0]
    for value in values[1:]:
        steps.append(summed_evenly(total, value))
        total += value
    return Draft(
        kind="compare",
        question=f"{' '.join(story)} {world.say(_ASK_ALL, items=items)}",
        answer=solution(steps, total),
    )


_PACKS = wordings(
    "{name} has {m} boxes with {k} {items} each.",
    "There are {m} bags with {k} {items} in each.",
    "{name} opens {m} packs of {k} {items}.",
    "{name} fills {m} boxes, each with {k} {items}.",
    "{name} brings {m} bags of {k} {items}.",
    "A shop sends {name} {m} packs with {k} {items} each.",
    "In {m} boxes there are {k} {items} each.",
    "There are {m} boxes, each with {k} {items}.",
    "{m} bags hold {k} {items} each.",
    "{name} owns {m} boxes of {k} {items}.",
    "There are {m} packs of {k} {items} in the shop.",
    "{name} has {m} bags. Each bag holds {k} {items}.",
    unseen=("{name} opens {m} bags with {k} {items} each.", "There are {m} boxes of {k} {items}."),
)
_EXTRA = wordings(
    "{name} finds {e} more.",
    "Another {e} {items} are on the table.",
    "{friend} adds {e} {items}.",
    "There are also {e} loose {items}.",
    unseen=("{friend} finds {e} more.", "{name} adds another {e} {items}."),
)
_SHARE = wordings(
    "All {items} are shared equally by {g} children. How many does each child get?",
    "{g} friends share them equally. How many {items} does each friend get?",
    "They are divided equally among {g} people. How many does each person get?",
    "{name} puts the same number in each of {g} bags. How many {items} are in each bag?",
    "How many {items} does each of {g} children get if they share equally?",
    "If {g} friends share everything equally, what does each one get?",
    "The {g} children share them equally. How many does each one get?",
    "If {g} people share them equally, how many does each person get?",
    "{g} children divide them equally. How many {items} are there for each child?",
    "How many {items} does each child get if {g} children share all of them?",
    "Divide them equally among {g} bags. How many are in each?",
    unseen=(
        "All {items} are divided equally among {g} friends. How many does each friend get?",
        "If {g} children share them equally, how many does each child get?",
    ),
)


def sharing(world: World) -> Draft:
    """Packs, perhaps some extra, divided equally."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int] | None:
        m, k, e, g = (
            rng.randint(2, 9),
            rng.randint(4, 60),
            rng.choice((0, rng.randint(2, 90))),
            rng.randint(2, 9),
        )
        return (m, k, e, g) if (m * k + e) % g == 0 else None

    m, k, e, g = world.draw(numbers)
    name, friend, items = world.name(), world.name(), world.rng.choice(COUNTABLES)
    story = [world.say(_PACKS, name=name, m=m, k=k, items=items)]
    steps = [packed(m, k)]
    if e:
        story.append(world.say(_EXTRA, name=name, friend=friend, e=e, items=items))
        steps.append(gained(m * k, e))
    story.append(world.say(_SHARE, name=name, items=items, g=g))
    total = m * k + e
    steps.append(shared(total, g))
    return Draft(kind="sharing", question=" ".join(story), answer=solution(steps, total // g))
