"""Plans of a day with the times worked out, and bills with a running total."""

from __future__ import annotations

import random

from llada_tiny.tasks.answers import Node, join, prefer, seq
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.nouns import WARES, words
from llada_tiny.tasks.world import World, wordings

_DAY = wordings(
    "Plan my day from {t}: {x}",
    "I start at {t}. Make a plan: {x}",
    "Write a day plan that starts at {t}: {x}",
    "Here is what I do, in this order, from {t}: {x}. When does each part start and end?",
    "My day starts at {t}: {x}. Write the times.",
    "Give the times of each part, starting at {t}: {x}",
    unseen=("Make a day plan from {t}: {x}", "My day starts at {t}. Here is what I do: {x}. Plan the times."),
)
_BILL = wordings(
    "Write the bill for {x}.",
    "I buy {x}. What do I pay? Show every line.",
    "Make a bill: {x}",
    "A customer buys {x}. Write the bill line by line.",
    "How much is this together? {x}. Write a line for each.",
    "Add up this order: {x}",
    unseen=("A customer buys {x}. Make the bill.", "I buy {x}. Write a bill line by line."),
)
# Each is of one or two tokens for llada-tiny's tokenizer, so that plans differ in their times.
_ACTIVITIES = words(
    """
    work school shop garden library swim walk ride travel read write cook rest tickets letters friends
    children house horse dog books questions lists text bus table city town flowers puzzles paintings tasks
    stamps guests
    """
)
_MINUTES = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55)


def make(world: World) -> Draft:
    """A plan of a day or a bill."""
    return world.rng.choice((_day, _bill))(world)


def _day(world: World) -> Draft:
    start, minutes = world.draw(_durations)
    activities = world.rng.sample(_ACTIVITIES, len(minutes))
    said = ", ".join([f"{name} {n} minutes" for name, n in zip(activities, minutes, strict=True)])
    lines: list[Node] = []
    now = start
    for place, (name, n) in enumerate(zip(activities, minutes, strict=True), start=1):
        times = f"{_clock(now)} to {_clock(now + n)}"
        lines.append(seq(f"{place}. ", prefer(f"{times} is for {name}.", f"{times} you have {name}.")))
        now += n
    answer = seq(join("\n", lines), f"\nThe day ends at {_clock(now)}.")
    return Draft(kind="day", question=world.say(_DAY, t=_clock(start), x=said), answer=answer)


def _durations(rng: random.Random) -> tuple[int, tuple[int, ...]]:
    """Minutes from midnight, and those of each part."""
    step = rng.choice((5, 5, 15))
    start = rng.randrange(6 * 60, 11 * 60, step)
    pool = _MINUTES if step == 5 else (15, 30, 45)
    return start, tuple(rng.choices(pool, k=rng.randint(8, 13)))


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02d}"


def _bill(world: World) -> Draft:
    orders = world.draw(_orders)
    wares = world.rng.sample(WARES, len(orders))
    said = ", ".join(
        [f"{ware} {count} at {price}" for ware, (count, price) in zip(wares, orders, strict=True)]
    )
    lines: list[Node] = []
    total = 0
    for ware, (count, price) in zip(wares, orders, strict=True):
        cost = count * price
        sums = f"{total} + {cost} = {total + cost}"
        lines.append(
            seq(f"{ware}: {count} * {price} = {cost}, ", prefer(f"together {sums}.", f"in total {sums}."))
        )
        total += cost
    answer = seq(join("\n", lines), f"\nThe bill is {total} coins.")
    return Draft(kind="bill", question=world.say(_BILL, x=said), answer=answer)


def _orders(rng: random.Random) -> tuple[tuple[int, int], ...]:
    """How many of each, and the price of one."""
    return tuple((rng.randint(2, 9), rng.randint(2, 29)) for _ in range(rng.randint(7, 12)))
