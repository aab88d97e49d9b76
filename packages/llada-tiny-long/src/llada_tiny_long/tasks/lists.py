"""Long numbered lists: sorted, with gaps or totals, tallied, ranked, reversed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from llada_tiny.tasks.answers import Node, prefer, seq
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.nouns import COUNTABLES
from llada_tiny.tasks.world import World, wordings

_GAPS = wordings(
    "Sort these numbers, number them, and say how much more each is: {x}",
    "Put these in order, one a line, with the difference to the one before: {x}",
    "Number these from smallest to largest, with the gaps: {x}",
    "Here are some numbers: {x}. Sort them and say each gap.",
    "Sort and show the differences: {x}",
    unseen=(
        "Sort these, one a line, with the gaps: {x}",
        "Put these numbers in order and say how much more each is: {x}",
    ),
)
_PARITY = wordings(
    "Sort these numbers, number them, and say even or odd: {x}",
    "Put these in order, one a line, each with even or odd: {x}",
    "Number these from smallest to largest. Which are even and which are odd? {x}",
    "Here are some numbers: {x}. Sort them and mark even and odd.",
    "Sort and mark even or odd: {x}",
    unseen=(
        "Sort these, one a line, with even or odd: {x}",
        "Put these numbers in order and mark even or odd: {x}",
    ),
)
_TOTALS = wordings(
    "Add these up one by one and show every total: {x}",
    "Number these and give the total after each: {x}",
    "Keep a running total of these: {x}",
    "Here are some numbers: {x}. Show the sum after each one.",
    "List these with the sum so far: {x}",
    unseen=(
        "Add these up and give the total after each: {x}",
        "List these numbers with a running total: {x}",
    ),
)
_TALLY = wordings(
    "Which of these are even, which are odd? Keep count: {x}",
    "Say even or odd for each of these and count both: {x}",
    "Number these, mark even and odd, and count them so far: {x}",
    "Here are some numbers: {x}. Count the even and the odd ones, line by line.",
    "Count odd and even ones, with a line for each: {x}",
    unseen=(
        "Mark each of these even or odd and keep count: {x}",
        "Here are some numbers: {x}. Say even or odd for each and count both.",
    ),
)
_RANK = wordings(
    "Rank these by points: {x}",
    "Who has most points? Make a numbered list: {x}",
    "Here are the points: {x}. Write the ranking.",
    "Sort by points, largest first, and number them: {x}",
    "Make a ranking of this: {x}",
    unseen=("Here are the points: {x}. Rank them.", "Make a numbered list by points, largest first: {x}"),
)
_REVERSE = wordings(
    "Reverse this list and number it: {x}",
    "Write these backwards, one a line, numbered: {x}",
    "Number these from last to first: {x}",
    "Here is a list: {x}. Turn it round and number it.",
    unseen=("Write this list backwards and number it: {x}", "Reverse these, one a line, numbered: {x}"),
)


def make(world: World) -> Draft:
    """One long list."""
    return world.rng.choice((_gaps, _parity, _totals, _tally, _ranking, _ranking, _reversed))(world)


def _gaps(world: World) -> Draft:
    numbers = _numbers(world, 12, 20, top=199)
    ordered = sorted(numbers)
    rest = [f"{n} - {before} = {n - before}" for before, n in pairwise(ordered)]
    answer = _ending(_numbered([str(ordered[0]), *rest]), ordered[-1])
    return Draft(kind="sort_with_gaps", question=world.say(_GAPS, x=_row(numbers)), answer=answer)


def _parity(world: World) -> Draft:
    numbers = _numbers(world, 18, 28)
    lines = [f"{n} is {'odd' if n % 2 else 'even'}" for n in sorted(numbers)]
    answer = _ending(_numbered(lines), max(numbers))
    return Draft(kind="sort_with_parity", question=world.say(_PARITY, x=_row(numbers)), answer=answer)


def _totals(world: World) -> Draft:
    numbers = _numbers(world, 10, 18, top=199)
    totals = list(accumulate(numbers))
    lines = [
        f"{before} + {n} = {total}" for before, n, total in zip([0, *totals], numbers, totals, strict=False)
    ]
    answer = seq(
        _numbered(lines), "\n", prefer(f"The sum is {totals[-1]}.", f"The total makes {totals[-1]}.")
    )
    return Draft(kind="totals", question=world.say(_TOTALS, x=_row(numbers)), answer=answer)


def _tally(world: World) -> Draft:
    numbers = _numbers(world, 12, 20)
    lines, odd = [], 0
    for place, n in enumerate(numbers, start=1):
        odd += n % 2
        lines.append(f"{n} is {'odd' if n % 2 else 'even'}, {odd} odd and {place - odd} even")
    even = len(numbers) - odd
    ending = prefer(f"That is {even} even and {odd} odd.", f"Even are {even} and odd {odd}.")
    answer = seq(_numbered(lines), "\n", ending)
    return Draft(kind="tally", question=world.say(_TALLY, x=_row(numbers)), answer=answer)


def _ranking(world: World) -> Draft:
    points = _numbers(world, 11, 17, top=199)
    names = world.names(len(points))
    said = _row([f"{name} {n}" for name, n in zip(names, points, strict=True)])
    ranked = sorted(zip(points, names, strict=True), reverse=True)
    lines = _numbered([f"{name} has {n}" for n, name in ranked])
    first = ranked[0][1]
    ending = prefer(f"{first} has most.", f"{first} is the first.")
    return Draft(kind="ranking", question=world.say(_RANK, x=said), answer=seq(lines, "\n", ending))


def _reversed(world: World) -> Draft:
    words = world.draw(lambda rng: tuple(rng.sample(COUNTABLES, rng.randint(24, 34))))
    answer = _ending(_numbered(words[::-1]), words[0])
    return Draft(kind="reversed", question=world.say(_REVERSE, x=_row(words)), answer=answer)


def _numbers(world: World, least: int, most: int, top: int = 999) -> tuple[int, ...]:
    """Different numbers of this side of the split."""

    def candidate(rng: random.Random) -> tuple[int, ...]:
        limit = rng.choice((99, 199, top))
        return tuple(rng.sample(range(1, limit + 1), rng.randint(least, most)))

    return world.draw(candidate)


def _numbered(items: Sequence[object]) -> str:
    return "\n".join([f"{place}. {item}" for place, item in enumerate(items, start=1)])


def _ending(lines: str, last: object) -> Node:
    return seq(lines, "\n", prefer(f"The last is {last}.", f"The end has {last}."))


def _row(items: Iterable[object]) -> str:
    return ", ".join([str(item) for item in items])
