"""Long addition, subtraction and multiplication, column by column from the right."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import zip_longest

from llada_tiny.tasks.answers import Node, prefer
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_ADD = wordings(
    "Add {a} and {b} column by column.",
    "Work out {a} + {b} in columns.",
    "Long addition: {a} + {b}",
    "What is {a} + {b}? Write every column.",
    "Find the sum of {a} and {b}, column by column.",
    "Do {a} plus {b} digit by digit.",
    unseen=("Find {a} + {b} column by column.", "What is the sum of {a} and {b}? Do it in columns."),
)
_SUBTRACT = wordings(
    "Subtract {b} from {a} column by column.",
    "Work out {a} - {b} in columns.",
    "Long subtraction: {a} - {b}",
    "What is {a} - {b}? Write every column.",
    "Take {b} from {a}, column by column.",
    "Do {a} minus {b} digit by digit.",
    unseen=("Find {a} - {b} column by column.", "What is {a} minus {b}? Do it in columns."),
)
_MULTIPLY = wordings(
    "Multiply {a} by {b} column by column.",
    "Work out {a} * {b} in columns.",
    "Long multiplication: {a} * {b}",
    "What is {a} * {b}? Write every column.",
    "Find the product of {a} and {b}, column by column.",
    "Do {a} times {b} digit by digit.",
    unseen=("Find {a} * {b} column by column.", "What is the product of {a} and {b}? Do it in columns."),
)
_Written = Callable[[str, str], str]
_STYLES = (("write", "carry"), ("put", "take"))  # one of them throughout an answer


def make(world: World) -> Draft:
    """One long calculation."""
    return world.rng.choice((_addition, _subtraction, _one_digit, _two_digits))(world)


def _addition(world: World) -> Draft:
    a, b = world.draw(lambda rng: (_number(rng, 5, 9), _number(rng, 5, 9)))
    answer = _in_either_style(lambda write, carry: f"{added(a, b, write, carry)}\nThe sum is {a + b}.")
    return Draft(kind="addition", question=world.say(_ADD, a=a, b=b), answer=answer)


def _subtraction(world: World) -> Draft:
    a, b = sorted(world.draw(lambda rng: (_number(rng, 5, 9), _number(rng, 5, 9))), reverse=True)
    answer = _in_either_style(lambda write, carry: f"{taken(a, b, write, carry)}\nThe rest is {a - b}.")
    return Draft(kind="subtraction", question=world.say(_SUBTRACT, a=a, b=b), answer=answer)


def _one_digit(world: World) -> Draft:
    a, b = world.draw(lambda rng: (_number(rng, 5, 9), rng.randint(2, 9)))
    answer = _in_either_style(lambda write, carry: f"{scaled(a, b, write, carry)}\nThe result is {a * b}.")
    return Draft(kind="one_digit", question=world.say(_MULTIPLY, a=a, b=b), answer=answer)


def _two_digits(world: World) -> Draft:
    a, b = world.draw(lambda rng: (_number(rng, 3, 3), rng.randint(1, 9) * 10 + rng.randint(2, 9)))
    tens, ones = b // 10 * a * 10, b % 10 * a

    def written(write: str, carry: str) -> str:
        first = f"First {a} * {b % 10}\n{scaled(a, b % 10, write, carry)}\nThat is {ones}.\n"
        second = (
            f"Then {a} * {b // 10}\n{scaled(a, b // 10, write, carry)}\nThat is {tens // 10}, so {tens}.\n"
        )
        total = f"Now {ones} + {tens}\n{added(ones, tens, write, carry)}\nThe result is {a * b}."
        return first + second + total

    return Draft(kind="two_digits", question=world.say(_MULTIPLY, a=a, b=b), answer=_in_either_style(written))


def added(a: int, b: int, write: str, carry: str) -> str:
    """The columns of a + b, and a line for each."""
    columns = _columns(a, b)
    lines, over = [_pairs(columns)], 0
    for place, (x, y) in enumerate(columns, start=1):
        total = x + y + over
        lines.append(f"{place}. {x} + {y} + {over} = {total}, {write} {total % 10}, {carry} {total // 10}.")
        over = total // 10
    return "\n".join(lines)


def taken(a: int, b: int, write: str, carry: str) -> str:
    """The columns of a - b for a >= b, and a line for each; what is carried is taken from the next column."""
    columns = _columns(a, b)
    lines, over = [_pairs(columns)], 0
    for place, (x, y) in enumerate(columns, start=1):
        borrowed = int(x < y + over)
        top = x + 10 * borrowed
        lines.append(
            f"{place}. {top} - {y} - {over} = {top - y - over}, {write} {top - y - over}, {carry} {borrowed}."
        )
        over = borrowed
    return "\n".join(lines)


def scaled(a: int, by: int, write: str, carry: str) -> str:
    """The digits of a, and a line for each of its product with a digit."""
    digits = _digits(a)
    lines = [", ".join([f"{place}: {digit}" for place, digit in enumerate(digits, start=1)])]
    over = 0
    for place, digit in enumerate(digits, start=1):
        total = digit * by + over
        lines.append(
            f"{place}. {digit} * {by} + {over} = {total}, {write} {total % 10}, {carry} {total // 10}."
        )
        over = total // 10
    return "\n".join(lines)


def _in_either_style(written: _Written) -> Node:
    usual, other = (written(*style) for style in _STYLES)
    return prefer(usual, other)


def _number(rng: random.Random, least: int, most: int) -> int:
    """A number of so many digits."""
    digits = rng.randint(least, most)
    return rng.randrange(10 ** (digits - 1), 10**digits)


def _digits(number: int) -> list[int]:
    """Digits from the right."""
    return [int(digit) for digit in reversed(str(number))]


def _columns(a: int, b: int) -> list[tuple[int, int]]:
    return list(zip_longest(_digits(a), _digits(b), fillvalue=0))


def _pairs(columns: list[tuple[int, int]]) -> str:
    return ", ".join([f"{place}: {x} {y}" for place, (x, y) in enumerate(columns, start=1)])
