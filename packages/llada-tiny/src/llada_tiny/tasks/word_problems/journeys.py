"""Distances from speeds and hours."""

from __future__ import annotations

import random

from ..answers import Node, minus, prefer, times
from ..instance import Draft
from ..world import World, wordings
from .steps import solution, summed

_LEGS = wordings(
    "A {thing} goes {p} kilometers per hour for {m} hours and then {q} kilometers per hour for {n} hours.",
    "{name} drives for {m} hours at {p} kilometers per hour, then for {n} hours at {q} kilometers per hour.",
    (
        "For {m} hours a {thing} moves at {p} kilometers per hour. For the next {n} "
        "hours it moves at {q} kilometers per hour."
    ),
    (
        "{name} rides {p} kilometers in each of {m} hours. After that {name} rides {q} "
        "kilometers in each of {n} hours."
    ),
    (
        "{name} travels at {p} kilometers per hour for {m} hours. Then {name} travels at "
        "{q} kilometers per hour for {n} hours."
    ),
    "A {thing} needs {m} hours at {p} kilometers per hour and {n} hours at {q} kilometers per hour.",
    (
        "First {name} goes {p} kilometers an hour for {m} hours. Then it is {q} "
        "kilometers an hour for {n} hours."
    ),
    unseen=(
        (
            "First a {thing} moves at {p} kilometers per hour for {m} hours. After that it "
            "moves at {q} kilometers per hour for {n} hours."
        ),
        "{name} goes for {m} hours at {p} kilometers an hour, then for {n} hours at {q} kilometers an hour.",
        "For {m} hours {name} rides {p} kilometers per hour, and for {n} hours {q} kilometers per hour.",
    ),
)
_ASK_FAR = wordings(
    "How far is that?",
    "How many kilometers is that in total?",
    "What is the whole distance?",
    "How far does it go?",
    "Find the distance.",
    "How many kilometers are covered?",
    "Work out how far that is.",
    "Tell me the total distance.",
    "How long is the whole way in kilometers?",
    unseen=(
        "What is the total distance?",
        "Tell me how far that is.",
        "How many kilometers is the whole way?",
    ),
)
_THINGS = ("train", "bus", "car", "ship", "truck", "boat", "bike", "tram")


def journey(world: World) -> Draft:
    """Two legs in either order, and their sum."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int]:
        return rng.randint(2, 9), rng.randint(6, 60), rng.randint(2, 9), rng.randint(6, 60)

    m, p, n, q = world.draw(numbers)
    story = world.say(_LEGS, name=world.name(), thing=world.rng.choice(_THINGS), m=m, p=p, n=n, q=q)
    steps: list[Node] = [
        f"The first part is {times(m, p)}.",
        f"The second part is {times(n, q)}.",
        summed(m * p, n * q),
    ]
    return Draft(
        kind="journey", question=f"{story} {world.say(_ASK_FAR)}", answer=solution(steps, m * p + n * q)
    )


_VERBS = ("run", "walk", "ride", "drive", "sail", "travel", "swim", "jog")
_FAST = wordings(
    "{name} can {verb} {p} kilometers per hour for {m} hours.",
    "For {m} hours {name} can {verb} {p} kilometers per hour.",
    "{name} is able to {verb} {p} kilometers per hour for {m} hours.",
    "At first {name} can {verb} {p} kilometers per hour, for {m} hours.",
    unseen=("At first, for {m} hours, {name} can {verb} {p} kilometers per hour.",),
)
_SLOW = wordings(
    "After that, {he} can {verb} {q} kilometers per hour.",
    "After that, {he} {verb}s {q} kilometers per hour.",
    "Then {he} can only {verb} {q} kilometers per hour.",
    "For the rest of the time it is {q} kilometers per hour.",
    "Then {name} {verb}s {q} kilometers per hour.",
    unseen=(
        "For the rest of the time {he} {verb}s {q} kilometers per hour.",
        "After that, {name} can only {verb} {q} kilometers per hour.",
    ),
)
_ASK_HOURS = wordings(
    "How many kilometers can {he} {verb} in {h} hours?",
    "How far can {name} {verb} in {h} hours?",
    "How many kilometers is that in {h} hours?",
    "In {h} hours, how far does {name} {verb}?",
    "Find how many kilometers {name} can {verb} in {h} hours.",
    unseen=("How far is that in {h} hours?", "In {h} hours, how many kilometers can {name} {verb}?"),
)


def two_speeds(world: World) -> Draft:
    """One speed for the first hours, another for the rest of a given time."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int]:
        m = rng.randint(2, 7)
        return m, rng.randint(4, 60), rng.randint(2, 60), m + rng.randint(2, 8)

    m, p, q, h = world.draw(numbers)
    fields = {
        "name": world.name(),
        "he": world.rng.choice(("he", "she")),
        "verb": world.rng.choice(_VERBS),
        "m": m,
        "p": p,
        "q": q,
        "h": h,
    }
    question = " ".join([world.say(part, **fields) for part in (_FAST, _SLOW, _ASK_HOURS)])
    steps: list[Node] = [
        f"The fast part is {times(m, p)}.",
        prefer(f"The rest is {minus(h, m)} hours.", f"That leaves {minus(h, m)} hours."),
        f"The slow part is {times(h - m, q)}.",
        summed(m * p, (h - m) * q),
    ]
    return Draft(kind="two_speeds", question=question, answer=solution(steps, m * p + (h - m) * q))
