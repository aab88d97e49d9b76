"""Shopping and saving: coins."""

from __future__ import annotations

import random

from ..answers import Node, minus, prefer, times
from ..instance import Draft
from ..nouns import WARES
from ..world import World, wordings
from .steps import gained, solution, summed

_BUYS = wordings(
    "{name} buys {m} {a}s at {p} coins each and {n} {b}s at {q} coins each.",
    "A {a} costs {p} coins and a {b} costs {q} coins. {name} buys {m} {a}s and {n} {b}s.",
    "{name} needs {m} {a}s and {n} {b}s. Each {a} costs {p} coins and each {b} costs {q} coins.",
    "In a shop {name} gets {m} {a}s for {p} coins each and {n} {b}s for {q} coins each.",
    "{name} goes to the shop and buys {m} {a}s ({p} coins each) and {n} {b}s ({q} coins each).",
    "{name} pays {p} coins for each of {m} {a}s and {q} coins for each of {n} {b}s.",
    "The shop sells {a}s for {p} coins and {b}s for {q} coins. {name} takes {m} {a}s and {n} {b}s.",
    (
        "{name} orders {m} {a}s and {n} {b}s. The price of a {a} is {p} coins and the "
        "price of a {b} is {q} coins."
    ),
    unseen=(
        (
            "{name} goes to the shop and gets {m} {a}s and {n} {b}s. A {a} costs {p} coins, "
            "a {b} costs {q} coins."
        ),
        "In a shop each {a} costs {p} coins and each {b} costs {q} coins. {name} buys {m} {a}s and {n} {b}s.",
        "{name} takes {m} {a}s for {p} coins each and {n} {b}s for {q} coins each.",
    ),
)
_ASK_PRICE = wordings(
    "How much does {name} pay?",
    "How many coins does {name} pay in total?",
    "What is the total price?",
    "How much is that together?",
    "What does it cost in total?",
    "Find the total price.",
    "Tell me how many coins {name} needs.",
    "Work out what {name} has to pay.",
    "How many coins is that?",
    "How much does it all cost?",
    unseen=(
        "How much does {name} pay in total?",
        "Tell me the total price.",
        "How many coins does it cost together?",
    ),
)
_ASK_CHANGE = wordings(
    "{name} pays with {cash} coins. How much change is there?",
    "{name} has {cash} coins. How many coins are left?",
    "{name} gives the seller {cash} coins. How many coins come back?",
    "How much is left of {cash} coins?",
    "With {cash} coins in the purse, how many coins does {name} keep?",
    "{name} started with {cash} coins. How many remain?",
    "If {name} pays with {cash} coins, what is the change?",
    unseen=(
        "{name} has {cash} coins. How much change is there?",
        "{name} gives the seller {cash} coins. What is the change?",
        "If {name} started with {cash} coins, how many coins are left?",
    ),
)


def shopping(world: World) -> Draft:
    """Two products in either order, their sum, and perhaps the change."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int, int]:
        m, p, n, q = rng.randint(2, 9), rng.randint(3, 60), rng.randint(2, 9), rng.randint(3, 60)
        return m, p, n, q, m * p + n * q + rng.randint(1, 250) if rng.random() < 0.5 else 0

    m, p, n, q, cash = world.draw(numbers)
    name, (a, b) = world.name(), world.rng.sample(WARES, 2)
    story = world.say(_BUYS, name=name, m=m, n=n, a=a, b=b, p=p, q=q)
    ask = world.say(_ASK_CHANGE if cash else _ASK_PRICE, name=name, cash=cash)
    steps: list[Node] = [
        f"The {a}s cost {times(m, p)}.",
        f"The {b}s cost {times(n, q)}.",
        summed(m * p, n * q),
    ]
    total = m * p + n * q
    if cash:
        steps.append(f"The change is {minus(cash, total)}.")
    return Draft(
        kind="shopping", question=f"{story} {ask}", answer=solution(steps, cash - total if cash else total)
    )


_SAVES = wordings(
    "{name} saves {p} coins every week for {w} weeks.",
    "Every week {name} saves {p} coins. This goes on for {w} weeks.",
    "{name} earns {p} coins a day and works for {w} days.",
    "For {w} weeks {name} puts {p} coins in a jar each week.",
    "{name} gets {p} coins each day for {w} days.",
    "{name} works {w} days and earns {p} coins per day.",
    "For {w} days {name} earns {p} coins a day.",
    "{name} saves {p} coins a week. {w} weeks pass.",
    unseen=(
        "For {w} weeks {name} saves {p} coins a week.",
        "{name} works for {w} days and gets {p} coins each day.",
        "Every week for {w} weeks {name} puts {p} coins in a jar.",
    ),
)
_HAD = wordings(
    "{name} already has {n} coins.",
    "There were {n} coins in the jar before.",
    "{name} had {n} coins before that.",
    "At first {name} owns {n} coins.",
    unseen=("Before that {name} had {n} coins.", "{name} already owns {n} coins."),
)
_SPENDS = wordings(
    "Then {name} spends {k} coins on a {ware}.",
    "{name} buys a {ware} for {k} coins.",
    "After that {name} pays {k} coins for a {ware}.",
    "{name} gives {k} coins to {friend}.",
    unseen=("Then {name} pays {k} coins for a {ware}.", "After that {name} spends {k} coins on a {ware}."),
)
_ASK_COINS = wordings(
    "How many coins does {name} have now?",
    "How many coins are left?",
    "How much money does {name} have in the end?",
    "How many coins remain?",
    "Tell me how many coins {name} has now.",
    "What is left at the end?",
    "Find out how many coins there are now.",
    unseen=(
        "How many coins does {name} have in the end?",
        "Tell me how many coins are left.",
        "How much money is left?",
    ),
)


def savings(world: World) -> Draft:
    """Income per week, a start, an expense."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int] | None:
        p, w, n, k = (
            rng.randint(6, 60),
            rng.randint(3, 9),
            rng.choice((0, rng.randint(10, 300))),
            rng.randint(5, 299),
        )
        return (p, w, n, k) if n + p * w - k > 0 else None

    p, w, n, k = world.draw(numbers)
    name, friend, ware = world.name(), world.name(), world.rng.choice(WARES)
    story = [
        world.say(_SAVES, name=name, p=p, w=w),
        world.say(_SPENDS, name=name, friend=friend, k=k, ware=ware),
    ]
    steps: list[Node] = [prefer(f"Saving gives {times(w, p)}.", f"Income is {times(w, p)}.")]
    if n:
        story.insert(world.rng.randint(0, 1), world.say(_HAD, name=name, n=n))
        steps.append(gained(p * w, n))
    left = n + p * w - k
    steps.append(
        prefer(f"Paying {k} leaves {minus(left + k, k)}.", f"Spending {k} makes {minus(left + k, k)}.")
    )
    return Draft(
        kind="savings",
        question=f"{' '.join(story)} {world.say(_ASK_COINS, name=name)}",
        answer=solution(steps, left),
    )
