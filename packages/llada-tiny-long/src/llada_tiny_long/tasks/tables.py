"""Tables and counting: multiples, steps of one size, two steps in turn, a word in place of some numbers."""

from __future__ import annotations

from collections.abc import Iterable

from llada_tiny.tasks.answers import Node, prefer, seq
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_MULTIPLES = wordings(
    "Write the table of {n} from {lo} to {hi}.",
    "Give me the multiples of {n}, from {lo} times to {hi} times.",
    "Table of {n}, from {lo} * {n} to {hi} * {n}",
    "List {lo} * {n} up to {hi} * {n}, one a line.",
    "I want the {n} times table from {lo} to {hi}.",
    "Write {lo} times {n} and so on to {hi} times {n}.",
    unseen=("Give me the table of {n}, from {lo} to {hi}.", "Write {lo} * {n} up to {hi} * {n}."),
)
_COUNT = wordings(
    "Count from {lo} to {hi} in steps of {n}.",
    "Count up by {n} from {lo} to {hi}.",
    "Start at {lo} and add {n} again and again up to {hi}.",
    "Write the numbers from {lo} to {hi}, {n} apart.",
    "List every number from {lo} to {hi} with {n} between them.",
    unseen=("Count up from {lo} to {hi}, {n} apart.", "List the numbers from {lo} to {hi} in steps of {n}."),
)
_BACK = wordings(
    "Count back from {hi} to {lo} in steps of {n}.",
    "Count down by {n} from {hi} to {lo}.",
    "Start at {hi} and subtract {n} again and again down to {lo}.",
    "Write the numbers from {hi} down to {lo}, {n} apart.",
    unseen=("Count down from {hi} to {lo} in steps of {n}.", "Count back by {n} from {hi} to {lo}."),
)
_TURNS = wordings(
    "Start with {a}. In turn add {n} and subtract {m}. Write {k} lines.",
    "Begin at {a}, then add {n}, subtract {m}, add {n} and so on. I want {k} lines.",
    "Write {k} numbered lines: the first is {a}, then plus {n} and minus {m} in turn.",
    "From {a}, go up {n} and down {m} in turn. Number {k} lines.",
    unseen=(
        "Begin with {a}. In turn add {n} and subtract {m}. I want {k} lines.",
        "Write {k} lines from {a}: up {n} and down {m} in turn.",
    ),
)
_BUZZ = wordings(
    "Count from {lo} to {hi}, but say {w} for multiples of {n}.",
    "Count from {lo} to {hi}. Write {w} instead of each multiple of {n}.",
    "Write the numbers from {lo} to {hi} with {w} for every multiple of {n}.",
    "From {lo} to {hi}: numbers, but {w} where {n} divides them.",
    unseen=(
        "Write the numbers from {lo} to {hi}, but say {w} for multiples of {n}.",
        "Count from {lo} to {hi} with {w} instead of each multiple of {n}.",
    ),
)
_INSTEAD = ("back", "fish", "frog", "fast", "gold", "bird", "stop", "keys", "busy", "blue")


def make(world: World) -> Draft:
    """One table or count."""
    return world.rng.choice((_multiples, _count, _count, _in_turn, _with_a_word))(world)


def _multiples(world: World) -> Draft:
    n, lo, rows = world.draw(lambda rng: (rng.randint(2, 99), rng.randint(1, 20), rng.randint(14, 28)))
    hi = lo + rows - 1
    lines = "\n".join([f"{k} * {n} = {k * n}" for k in range(lo, hi + 1)])
    return Draft(kind="multiples", question=world.say(_MULTIPLES, n=n, lo=lo, hi=hi), answer=lines)


def _count(world: World) -> Draft:
    n, lo, terms = world.draw(
        lambda rng: (
            rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15)),
            rng.randint(1, 99),
            rng.randint(30, 70),
        )
    )
    numbers = [lo + n * k for k in range(terms)]
    fields = {"n": n, "lo": numbers[0], "hi": numbers[-1]}
    if world.chance(0.3):
        return Draft(kind="count_back", question=world.say(_BACK, **fields), answer=_row(numbers[::-1]))
    return Draft(kind="count", question=world.say(_COUNT, **fields), answer=_row(numbers))


def _in_turn(world: World) -> Draft:
    a, n, m, k = world.draw(
        lambda rng: (rng.randint(200, 400), rng.randint(3, 99), rng.randint(2, 15), rng.randint(20, 38))
    )
    values = [a + (place // 2) * (n - m) + (place % 2) * n for place in range(k)]
    lines = "\n".join([f"{place}. {value}" for place, value in enumerate(values, start=1)])
    return Draft(kind="in_turn", question=world.say(_TURNS, a=a, n=n, m=m, k=k), answer=lines)


def _with_a_word(world: World) -> Draft:
    n, lo, terms = world.draw(
        lambda rng: (rng.choice((3, 4, 5, 6, 7, 8, 9)), rng.randint(1, 120), rng.randint(35, 90))
    )
    word = world.rng.choice(_INSTEAD)
    hi = lo + terms - 1
    said = [word if k % n == 0 else k for k in range(lo, hi + 1)]
    return Draft(kind="with_a_word", question=world.say(_BUZZ, n=n, lo=lo, hi=hi, w=word), answer=_row(said))


def _row(items: Iterable[object]) -> Node:
    row = ", ".join([str(item) for item in items])
    return seq(row, ". ", prefer("That is all.", "That was it."))
