"""Shopping, comparing, saving and sharing."""

from __future__ import annotations

import random

from ..answers import Node, minus, plus, prefer, times
from ..instance import Draft
from ..nouns import COUNTABLES, WARES
from ..world import World, wordings
from .steps import gained, packed, shared, solution, summed, summed_evenly

_BUYS = wordings(
    "{name} buys {m} {a}s at {p} coins each and {n} {b}s at {q} coins each.", "A {a} costs {p} coins and a {b} costs {q} coins. {name} buys {m} {a}s and {n} {b}s.",
    "{name} needs {m} {a}s and {n} {b}s. Each {a} costs {p} coins and each {b} costs {q} coins.", "In a shop {name} gets {m} {a}s for {p} coins each and {n} {b}s for {q} coins each.",
    "{name} goes to the shop and buys {m} {a}s ({p} coins each) and {n} {b}s ({q} coins each).", "{name} pays {p} coins for each of {m} {a}s and {q} coins for each of {n} {b}s.",
    "The shop sells {a}s for {p} coins and {b}s for {q} coins. {name} takes {m} {a}s and {n} {b}s.", "{name} orders {m} {a}s and {n} {b}s. The price of a {a} is {p} coins and the price of a {b} is {q} coins.",
    unseen=("{name} goes to the shop and gets {m} {a}s and {n} {b}s. A {a} costs {p} coins, a {b} costs {q} coins.", "In a shop each {a} costs {p} coins and each {b} costs {q} coins. {name} buys {m} {a}s and {n} {b}s.",
            "{name} takes {m} {a}s for {p} coins each and {n} {b}s for {q} coins each."),
)  # fmt: skip
_ASK_PRICE = wordings(
    "How much does {name} pay?", "How many coins does {name} pay in total?", "What is the total price?", "How much is that together?", "What does it cost in total?",
    "Find the total price.", "Tell me how many coins {name} needs.", "Work out what {name} has to pay.", "How many coins is that?", "How much does it all cost?",
    unseen=("How much does {name} pay in total?", "Tell me the total price.", "How many coins does it cost together?"),
)  # fmt: skip
_ASK_CHANGE = wordings(
    "{name} pays with {cash} coins. How much change is there?", "{name} has {cash} coins. How many coins are left?", "{name} gives the seller {cash} coins. How many coins come back?",
    "How much is left of {cash} coins?", "With {cash} coins in the purse, how many coins does {name} keep?", "{name} started with {cash} coins. How many remain?", "If {name} pays with {cash} coins, what is the change?",
    unseen=("{name} has {cash} coins. How much change is there?", "{name} gives the seller {cash} coins. What is the change?", "If {name} started with {cash} coins, how many coins are left?"),
)  # fmt: skip


def shopping(world: World) -> Draft:
    """Two products in either order, their sum, and perhaps the change."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int, int]:
        m, p, n, q = rng.randint(2, 9), rng.randint(3, 60), rng.randint(2, 9), rng.randint(3, 60)
        return m, p, n, q, m * p + n * q + rng.randint(1, 250) if rng.random() < 0.5 else 0

    m, p, n, q, cash = world.draw(numbers)
    name, (a, b) = world.name(), world.rng.sample(WARES, 2)
    story = world.say(_BUYS, name=name, m=m, n=n, a=a, b=b, p=p, q=q)
    ask = world.say(_ASK_CHANGE if cash else _ASK_PRICE, name=name, cash=cash)
    steps: list[Node] = [f"The {a}s cost {times(m, p)}.", f"The {b}s cost {times(n, q)}.", summed(m * p, n * q)]
    total = m * p + n * q
    if cash:
        steps.append(f"The change is {minus(cash, total)}.")
    return Draft(kind="shopping", question=f"{story} {ask}", answer=solution(steps, cash - total if cash else total))


_HAS = wordings(
    "{a} has {n} {items}.", "{a} owns {n} {items}.", "{a} collects {n} {items}.", "There are {n} {items} in {a}'s bag.", "{a} has a box with {n} {items}.", "{a} found {n} {items}.",
    unseen=("{a} has a bag with {n} {items}.", "{n} {items} are in {a}'s bag."),
)  # fmt: skip
_RELATION = {
    "more": wordings(
        "{b} has {k} more than {a}.", "{b} has {k} {items} more than {a}.", "{b} owns {k} more {items} than {a}.", "{b} has as many as {a} and {k} more.", "Compared to {a}, {b} has {k} more.",
        unseen=("{b} owns {k} more than {a}.", "Compared to {a}, {b} has {k} {items} more."),
    ),
    "fewer": wordings(
        "{b} has {k} fewer than {a}.", "{b} has {k} {items} fewer than {a}.", "{b} owns {k} fewer {items} than {a}.", "{b} has {k} less than {a}.", "Compared to {a}, {b} has {k} fewer.",
        unseen=("{b} owns {k} fewer than {a}.", "Compared to {a}, {b} has {k} {items} fewer."),
    ),
    "times": wordings(
        "{b} has {k} times as many as {a}.", "{b} has {k} times as many {items} as {a}.", "{b} owns {k} times as many as {a}.", "{b} has {k} times the number of {a}.", "Compared to {a}, {b} has {k} times as many.",
        unseen=("{b} owns {k} times as many {items} as {a}.", "Compared to {a}, {b} has {k} times the number."),
    ),
}  # fmt: skip
_ASK_ALL = wordings(
    "How many do they have together?", "How many {items} do they have in total?", "How many {items} is that altogether?", "What is the total number of {items}?", "Find how many {items} they own together.",
    "How many {items} do all of them have?", "Tell me how many there are altogether.", "Altogether, how many {items} do they have?", "Count all the {items}.", "Work out the total.",
    unseen=("How many {items} do they own in total?", "Work out the total number of {items}.", "Tell me how many {items} they have together."),
)  # fmt: skip


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
    return Draft(kind="compare", question=f"{' '.join(story)} {world.say(_ASK_ALL, items=items)}", answer=solution(steps, total))


_SAVES = wordings(
    "{name} saves {p} coins every week for {w} weeks.", "Every week {name} saves {p} coins. This goes on for {w} weeks.", "{name} earns {p} coins a day and works for {w} days.", "For {w} weeks {name} puts {p} coins in a jar each week.",
    "{name} gets {p} coins each day for {w} days.", "{name} works {w} days and earns {p} coins per day.", "For {w} days {name} earns {p} coins a day.", "{name} saves {p} coins a week. {w} weeks pass.",
    unseen=("For {w} weeks {name} saves {p} coins a week.", "{name} works for {w} days and gets {p} coins each day.", "Every week for {w} weeks {name} puts {p} coins in a jar."),
)  # fmt: skip
_HAD = wordings(
    "{name} already has {n} coins.", "There were {n} coins in the jar before.", "{name} had {n} coins before that.", "At first {name} owns {n} coins.",
    unseen=("Before that {name} had {n} coins.", "{name} already owns {n} coins."),
)
_SPENDS = wordings(
    "Then {name} spends {k} coins on a {ware}.", "{name} buys a {ware} for {k} coins.", "After that {name} pays {k} coins for a {ware}.", "{name} gives {k} coins to {friend}.",
    unseen=("Then {name} pays {k} coins for a {ware}.", "After that {name} spends {k} coins on a {ware}."),
)
_ASK_COINS = wordings(
    "How many coins does {name} have now?", "How many coins are left?", "How much money does {name} have in the end?", "How many coins remain?", "Tell me how many coins {name} has now.", "What is left at the end?", "Find out how many coins there are now.",
    unseen=("How many coins does {name} have in the end?", "Tell me how many coins are left.", "How much money is left?"),
)  # fmt: skip


def savings(world: World) -> Draft:
    """Income per week, a start, an expense."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int] | None:
        p, w, n, k = rng.randint(6, 60), rng.randint(3, 9), rng.choice((0, rng.randint(10, 300))), rng.randint(5, 299)
        return (p, w, n, k) if n + p * w - k > 0 else None

    p, w, n, k = world.draw(numbers)
    name, friend, ware = world.name(), world.name(), world.rng.choice(WARES)
    story = [world.say(_SAVES, name=name, p=p, w=w), world.say(_SPENDS, name=name, friend=friend, k=k, ware=ware)]
    steps: list[Node] = [prefer(f"Saving gives {times(w, p)}.", f"Income is {times(w, p)}.")]
    if n:
        story.insert(world.rng.randint(0, 1), world.say(_HAD, name=name, n=n))
        steps.append(gained(p * w, n))
    left = n + p * w - k
    steps.append(prefer(f"Paying {k} leaves {minus(left + k, k)}.", f"Spending {k} makes {minus(left + k, k)}."))
    return Draft(kind="savings", question=f"{' '.join(story)} {world.say(_ASK_COINS, name=name)}", answer=solution(steps, left))


_PACKS = wordings(
    "{name} has {m} boxes with {k} {items} each.", "There are {m} bags with {k} {items} in each.", "{name} opens {m} packs of {k} {items}.", "{name} fills {m} boxes, each with {k} {items}.", "{name} brings {m} bags of {k} {items}.", "A shop sends {name} {m} packs with {k} {items} each.", "In {m} boxes there are {k} {items} each.", "There are {m} boxes, each with {k} {items}.", "{m} bags hold {k} {items} each.", "{name} owns {m} boxes of {k} {items}.", "There are {m} packs of {k} {items} in the shop.", "{name} has {m} bags. Each bag holds {k} {items}.",
    unseen=("{name} opens {m} bags with {k} {items} each.", "There are {m} boxes of {k} {items}."),
)  # fmt: skip
_EXTRA = wordings(
    "{name} finds {e} more.", "Another {e} {items} are on the table.", "{friend} adds {e} {items}.", "There are also {e} loose {items}.",
    unseen=("{friend} finds {e} more.", "{name} adds another {e} {items}."),
)
_SHARE = wordings(
    "All {items} are shared equally by {g} children. How many does each child get?", "{g} friends share them equally. How many {items} does each friend get?", "They are divided equally among {g} people. How many does each person get?",
    "{name} puts the same number in each of {g} bags. How many {items} are in each bag?", "How many {items} does each of {g} children get if they share equally?", "If {g} friends share everything equally, what does each one get?", "The {g} children share them equally. How many does each one get?", "If {g} people share them equally, how many does each person get?", "{g} children divide them equally. How many {items} are there for each child?", "How many {items} does each child get if {g} children share all of them?", "Divide them equally among {g} bags. How many are in each?",
    unseen=("All {items} are divided equally among {g} friends. How many does each friend get?", "If {g} children share them equally, how many does each child get?"),
)  # fmt: skip


def sharing(world: World) -> Draft:
    """Packs, perhaps some extra, divided equally."""

    def numbers(rng: random.Random) -> tuple[int, int, int, int] | None:
        m, k, e, g = rng.randint(2, 9), rng.randint(4, 60), rng.choice((0, rng.randint(2, 90))), rng.randint(2, 9)
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
