"""Long chains of operations on one number, every step written out."""

from __future__ import annotations

import random
from collections.abc import Callable

from llada_tiny.tasks.answers import Node, join, minus, over, plus, prefer, seq, times
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_HIGHEST = 999
_ASK = wordings(
    "Start with {a}. {ops}. Write every step.",
    "Take the number {a}. {ops}. Show each step.",
    "Begin with {a}. {ops}. What do you get?",
    "Start at {a}. {ops}. What is the result?",
    "I start with {a}. {ops}. Where do I end? Write all steps.",
    "The first number is {a}. {ops}. Solve it line by line.",
    "Work this out in steps. Start with {a}. {ops}.",
    "From {a}, do this: {ops}. Number the steps.",
    unseen=(
        "Take {a}. {ops}. Write each step.",
        "Begin at {a} and do this: {ops}. Show all steps.",
    ),
)
_SAID = {
    "+": "add {n}",
    "-": "subtract {n}",
    "*": "multiply by {n}",
    "/": "divide by {n}",
}
_WORK: dict[str, Callable[[int, int], Node]] = {"+": plus, "-": minus, "*": times, "/": over}
# The usual and the other wording of a step differ in two places and take the same room.
_WORDED = {
    "+": ("Adding {n} gives", "Plus {n} makes"),
    "-": ("Taking {n} leaves", "Minus {n} makes"),
    "*": ("Now {n} times gives", "Then {n} times makes"),
    "/": ("Sharing by {n} gives", "Split in {n} makes"),
}

Step = tuple[str, int]


def make(world: World) -> Draft:
    """A start and 10 to 18 operations."""
    first, steps = world.draw(_walk)
    said = [_SAID[sign].format(n=number) for sign, number in steps]
    comma = world.rng.choice((", ", ", ", ", then ", "; "))
    operations = comma.join(said)
    question = world.say(_ASK, a=first, ops=operations[0].upper() + operations[1:])
    return Draft(kind="chain", question=question, answer=_solution(first, steps))


def _walk(rng: random.Random) -> tuple[int, tuple[Step, ...]]:
    first = value = rng.randint(2, 300)
    steps: list[Step] = []
    for _ in range(rng.randint(10, 18)):
        sign, number = _operation(value, rng)
        steps.append((sign, number))
        value = {"+": value + number, "-": value - number, "*": value * number, "/": value // number}[sign]
    return first, tuple(steps)


def _operation(value: int, rng: random.Random) -> Step:
    """An operation that keeps the value between 1 and 999; quotients stay below 20."""
    kind = rng.random()
    divisors = [n for n in range(2, 10) if value % n == 0 and value // n < 20]
    if kind < 0.2 and divisors:
        return "/", rng.choice(divisors)
    if kind < 0.4 and value * 2 <= _HIGHEST:
        return "*", rng.randint(2, min(9, _HIGHEST // value))
    if (kind < 0.7 and value < 900) or value < 12:
        return "+", rng.randint(2, min(199, _HIGHEST - value))
    return "-", rng.randint(2, min(299, value - 1))


def _solution(value: int, steps: tuple[Step, ...]) -> Node:
    lines: list[Node] = []
    for place, (sign, number) in enumerate(steps, start=1):
        work = _WORK[sign](value, number)
        assert isinstance(work, str)
        usual, other = (wording.format(n=number) for wording in _WORDED[sign])
        lines.append(seq(f"{place}. ", prefer(f"{usual} {work}.", f"{other} {work}.")))
        value = int(work.rpartition(" ")[2])
    return seq(join("\n", lines), f"\nThe answer is {value}.")
