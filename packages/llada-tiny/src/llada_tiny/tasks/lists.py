"""Lists: sorting, counting, extremes, sums, reversing, removing repeats."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from .answers import Node, join, minus, plus, prefer, seq, times
from .instance import Draft
from .list_wordings import (
    ALPHABETICAL,
    ARITHMETIC,
    ASCENDING,
    COUNT,
    DESCENDING,
    EXTREMES,
    REVERSE,
    SUM,
    UNIQUE,
)
from .nouns import ALL_NOUNS
from .world import World


def make(world: World) -> Draft:
    """One list task of a random kind."""
    return world.rng.choice(_KINDS)(world)


def _numbers(world: World, low: int, high: int, top: int = 999) -> tuple[int, ...]:
    def candidate(rng: random.Random) -> tuple[int, ...]:
        limit = rng.choice((30, 99, 99, top))
        return tuple(rng.sample(range(1, limit + 1), rng.randint(low, high)))

    return world.draw(candidate)


def _words(world: World, low: int, high: int) -> list[str]:
    """Words with different first letters, some of them names."""
    pool, words = {}, world.rng.sample(ALL_NOUNS, 12)
    for word in [*words, *(world.names(3) if world.chance(0.4) else ())]:
        pool[word[0].lower()] = word
    chosen = list(pool.values())
    world.rng.shuffle(chosen)
    return chosen[: world.rng.randint(low, high)]


def _listing(world: World, items: Sequence[object]) -> str:
    return world.rng.choice((", ", ", ", ", ", " ")).join([str(item) for item in items])


def _row(items: Iterable[object]) -> str:
    return ", ".join([str(item) for item in items])


def _labelled(usual: str, other: str, row: str) -> Node:
    return prefer(f"{usual}: {row}.", f"{other}: {row}.")


def _and(items: Sequence[object]) -> str:
    """``1, 2 and 3``"""
    return _row(items) if len(items) == 1 else f"{_row(items[:-1])} and {items[-1]}"


def _sort_numbers(world: World) -> Draft:
    numbers = _numbers(world, 4, 9)
    down = world.chance(0.4)
    ordered = _row(sorted(numbers, reverse=down))
    question = world.say(DESCENDING if down else ASCENDING, x=_listing(world, numbers))
    return Draft(kind="sort_numbers", question=question, answer=_labelled("Sorted", "Ordered", ordered))


def _sort_words(world: World) -> Draft:
    words = _words(world, 4, 6)
    ordered_words = sorted(words, key=str.lower)
    ordered = _row(ordered_words)
    question = world.say(ALPHABETICAL, x=_listing(world, words))
    return Draft(kind="sort_words", question=question, answer=_labelled("Sorted", "Ordered", ordered))


def _count_matching(world: World) -> Draft:
    numbers = _numbers(world, 5, 9, top=200)
    limit = world.rng.choice(sorted(numbers)[1:-1])
    what, test = world.rng.choice(_conditions(limit))
    found = [n for n in numbers if test(n)]
    ending = prefer(f" The count is {len(found)}.", f" That makes {len(found)}.")
    answer = seq(f"{what.capitalize()}: {_row(found) or 'none'}.", ending)
    return Draft(
        kind="count", question=world.say(COUNT, what=what, x=_listing(world, numbers)), answer=answer
    )


def _conditions(limit: int) -> list[tuple[str, Callable[[int], bool]]]:
    return [
        ("even", lambda n: n % 2 == 0),
        ("odd", lambda n: n % 2 == 1),
        (f"greater than {limit}", lambda n: n > limit),
        (f"less than {limit}", lambda n: n < limit),
        (f"above {limit}", lambda n: n > limit),
        (f"below {limit}", lambda n: n < limit),
    ]


def _extremes(world: World) -> Draft:
    numbers = _numbers(world, 4, 9)
    low, high = min(numbers), max(numbers)
    answer = f"The smallest is {low} and the largest is {high}."
    return Draft(kind="extremes", question=world.say(EXTREMES, x=_listing(world, numbers)), answer=answer)


def _total(world: World) -> Draft:
    numbers = _numbers(world, 3, 5, top=250)
    steps, total = [], numbers[0]
    for number in numbers[1:]:
        steps.append(plus(total, number))
        total += number
    ending = prefer(f"The sum is {total}.", f"That makes {total}.")
    shown = world.rng.choice((_row(numbers), _and(numbers), " + ".join([str(n) for n in numbers])))
    return Draft(kind="sum", question=world.say(SUM, x=shown), answer=seq(join(", ", steps), ". ", ending))


def _reverse(world: World) -> Draft:
    items: list[object] = [*_numbers(world, 4, 7)] if world.chance(0.5) else [*_words(world, 4, 7)]
    back = _row(items[::-1])
    return Draft(
        kind="reverse",
        question=world.say(REVERSE, x=_listing(world, items)),
        answer=_labelled("Reversed", "Backwards", back),
    )


def _unique(world: World) -> Draft:
    items: list[object] = [*_numbers(world, 3, 5, top=99)] if world.chance(0.5) else [*_words(world, 3, 5)]
    repeated = [*items, *world.rng.choices(items, k=world.rng.randint(1, 3))]
    world.rng.shuffle(repeated)
    kept = _row(list(dict.fromkeys(repeated)))
    return Draft(
        kind="unique",
        question=world.say(UNIQUE, x=_listing(world, repeated)),
        answer=f"Without repeats: {kept}.",
    )


def _arithmetic(world: World) -> Draft:
    a, b = world.draw(lambda rng: (rng.randint(2, 500), rng.randint(2, 500)))
    operation = world.rng.choice(("+", "+", "-", "*"))
    a, b = (
        (max(a, b), min(a, b))
        if operation == "-"
        else (a % 98 + 2, b % 8 + 2)
        if operation == "*"
        else (a, b)
    )
    question = world.say(ARITHMETIC, x=f"{a} {operation} {b}")
    work = {"+": plus, "-": minus, "*": times}[operation](a, b)
    return Draft(kind="arithmetic", question=question, answer=f"{work}.")


_KINDS = (
    _arithmetic,
    _sort_numbers,
    _sort_numbers,
    _sort_words,
    _count_matching,
    _count_matching,
    _extremes,
    _total,
    _reverse,
    _unique,
)
