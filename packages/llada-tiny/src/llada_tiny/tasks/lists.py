"""Lists: sorting, counting, extremes, sums, reversing, removing repeats."""

# ruff: noqa: E501 - a wording is easier to read on one line
from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from .answers import Node, join, minus, plus, prefer, seq, times
from .instance import Draft
from .nouns import ALL_NOUNS
from .world import World, wordings

_ASCENDING = wordings(
    "Sort these numbers: {x}", "Sort these numbers from smallest to largest: {x}", "Put these numbers in order: {x}", "Put {x} in order from smallest to largest.", "Sort {x}.", "Arrange the numbers {x} from low to high.", "Here are some numbers: {x}. Sort them.", "Order these numbers from small to large: {x}",
    "Can you sort {x}?", "Write these numbers in rising order: {x}", "List the numbers {x} from smallest to largest.", "What is the sorted order of {x}?", "Numbers: {x}. Put them in ascending order.", "Sort this list in ascending order: {x}", "I need these numbers sorted: {x}", "Bring the list {x} into ascending order.", "Sort from low to high: {x}", "Sort the list {x}.",
    unseen=("Put these numbers in ascending order: {x}", "Here is a list: {x}. Sort it from small to large.", "Can you put {x} in order from low to high?", "Write the numbers {x} from smallest to largest."),
)  # fmt: skip
_DESCENDING = wordings(
    "Sort these numbers from largest to smallest: {x}", "Put {x} in order from largest to smallest.", "Arrange the numbers {x} from high to low.", "Here are some numbers: {x}. Sort them from largest to smallest.", "Order these numbers from large to small: {x}", "Write these numbers in falling order: {x}", "Can you sort {x} from high to low?",
    "Numbers: {x}. Put them in descending order.", "Sort this list in descending order: {x}", "List the numbers {x} from largest to smallest.", "Sort from high to low: {x}", "I need these numbers from largest to smallest: {x}", "Bring the list {x} into descending order.", "Sort {x}, largest first.",
    unseen=("Put these numbers in descending order: {x}", "Here is a list: {x}. Sort it from large to small.", "Can you put {x} in order from high to low?", "Write the numbers {x} from largest to smallest."),
)  # fmt: skip
_ALPHABETICAL = wordings(
    "Sort these words alphabetically: {x}", "Sort these words: {x}", "Put these words in alphabetical order: {x}", "Arrange {x} alphabetically.", "Here are some words: {x}. Sort them from A to Z.", "Order these words from A to Z: {x}", "Can you sort {x} alphabetically?", "Words: {x}. Put them in alphabetical order.", "Sort this list of words: {x}",
    "List {x} in alphabetical order.", "What is the alphabetical order of {x}?", "I need these words sorted: {x}", "Write these words in alphabetical order: {x}", "Bring these words into alphabetical order: {x}", "Sort from A to Z: {x}", "Alphabetical order, please: {x}",
    unseen=("Put {x} in alphabetical order.", "Here is a list of words: {x}. Sort it alphabetically.", "Can you put these words in order from A to Z? {x}", "List these words alphabetically: {x}"),
)  # fmt: skip
_COUNT = wordings(
    "How many of these numbers are {what}? {x}", "Count the numbers that are {what}: {x}", "How many numbers in {x} are {what}?", "Here are some numbers: {x}. How many are {what}?", "In the list {x}, how many numbers are {what}?", "Look at {x}. How many of them are {what}?", "Numbers: {x}. Count those that are {what}.", "Which of these numbers are {what}, and how many are there? {x}",
    "Tell me how many of {x} are {what}.", "Find the numbers that are {what} and count them: {x}", "Count how many are {what}: {x}", "Of the numbers {x}, how many are {what}?", "How many are {what} in this list: {x}", "I have the numbers {x}. How many of them are {what}?", "Pick the numbers that are {what} and count them: {x}",
    unseen=("Here is a list: {x}. Count the numbers that are {what}.", "Look at the numbers {x}. Which are {what}, and how many?", "Tell me how many numbers are {what} in {x}.", "In this list, how many are {what}? {x}"),
)  # fmt: skip
_EXTREMES = wordings(
    "What are the smallest and the largest of {x}?", "Find the smallest and the largest number: {x}", "Which number is the smallest and which is the largest? {x}", "Give the minimum and the maximum of {x}.", "Numbers: {x}. Name the smallest and the largest.", "What is the minimum and the maximum of this list: {x}", "Look at {x}. What are the smallest and the largest numbers?", "Tell me the smallest and the largest of these: {x}",
    "Min and max of {x}?", "In the list {x}, which are the smallest and the largest?", "Find the minimum and maximum: {x}", "Here are some numbers: {x}. Find the smallest and the largest.", "Of {x}, name the minimum and the maximum.",
    unseen=("Here is a list: {x}. What are the minimum and the maximum?", "Give the smallest and the largest number of {x}.", "Look at these numbers and name the smallest and the largest: {x}", "Tell me the min and max of {x}."),
)  # fmt: skip
_SUM = wordings(
    "Add these numbers: {x}", "What is the sum of {x}?", "Find the sum: {x}", "Add up {x}.", "Sum the list {x}.", "What do you get when you add {x}?", "Numbers: {x}. What is their total?", "Calculate the sum of these numbers: {x}", "How much is {x} added together?", "Work out the total of {x}.", "Here are some numbers: {x}. Add them.", "Tell me the total of these numbers: {x}", "Can you add {x}?", "Total, please: {x}",
    unseen=("Here is a list: {x}. What is the sum?", "Calculate the total of {x}.", "Can you add up these numbers? {x}", "Work out the sum: {x}"),
)  # fmt: skip
_REVERSE = wordings(
    "Reverse this list: {x}", "Write {x} in reverse order.", "Turn this list around: {x}", "Here is a list: {x}. Reverse it.", "Give the list backwards: {x}", "What is {x} in reverse?", "List {x} from last to first.", "Can you reverse {x}?", "Put this list in reverse order: {x}", "Read this list backwards: {x}", "Start from the end and list these: {x}", "Flip this list: {x}", "Can you list {x} from the end?", "Turn the order of {x} around.",
    unseen=("Write this list backwards: {x}", "Can you turn {x} around?", "List these in reverse order: {x}", "Give {x} from last to first."),
)  # fmt: skip
_UNIQUE = wordings(
    "Remove the repeated items: {x}", "Remove duplicates from this list: {x}", "Write {x} without repeats.", "Which different items are in {x}?", "Delete the duplicates: {x}", "Here is a list: {x}. Keep each item once.", "List each item of {x} only once.", "Clean this list so that nothing repeats: {x}", "Drop the repeats from {x}.", "Can you remove the duplicates from {x}?", "Keep only one of each: {x}",
    unseen=("Write this list without duplicates: {x}", "Can you keep each item of {x} only once?", "Here is a list: {x}. Remove the repeats.", "Delete the repeated items from {x}."),
)  # fmt: skip

_ARITHMETIC = wordings(
    "What is {x}?", "Calculate {x}.", "{x}", "{x} =", "How much is {x}?", "Compute {x}", "Work out {x}.", "Tell me what {x} is.", "What do you get for {x}?", "Solve {x}.", "Can you calculate {x}?", "What is the result of {x}?", "Find {x}.", "{x} is what?",
    unseen=("Can you tell me what {x} is?", "What does {x} give?", "Calculate the result of {x}.", "How much do you get for {x}?"),
)  # fmt: skip


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
    question = world.say(_DESCENDING if down else _ASCENDING, x=_listing(world, numbers))
    return Draft(kind="sort_numbers", question=question, answer=_labelled("Sorted", "Ordered", ordered))


def _sort_words(world: World) -> Draft:
    words = _words(world, 4, 6)
    ordered_words = sorted(words, key=str.lower)
    ordered = _row(ordered_words)
    question = world.say(_ALPHABETICAL, x=_listing(world, words))
    return Draft(kind="sort_words", question=question, answer=_labelled("Sorted", "Ordered", ordered))


def _count_matching(world: World) -> Draft:
    numbers = _numbers(world, 5, 9, top=200)
    limit = world.rng.choice(sorted(numbers)[1:-1])
    what, test = world.rng.choice(_conditions(limit))
    found = [n for n in numbers if test(n)]
    ending = prefer(f" The count is {len(found)}.", f" That makes {len(found)}.")
    answer = seq(f"{what.capitalize()}: {_row(found) or 'none'}.", ending)
    return Draft(kind="count", question=world.say(_COUNT, what=what, x=_listing(world, numbers)), answer=answer)


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
    return Draft(kind="extremes", question=world.say(_EXTREMES, x=_listing(world, numbers)), answer=answer)


def _total(world: World) -> Draft:
    numbers = _numbers(world, 3, 5, top=250)
    steps, total = [], numbers[0]
    for number in numbers[1:]:
        steps.append(plus(total, number))
        total += number
    ending = prefer(f"The sum is {total}.", f"That makes {total}.")
    shown = world.rng.choice((_row(numbers), _and(numbers), " + ".join([str(n) for n in numbers])))
    return Draft(kind="sum", question=world.say(_SUM, x=shown), answer=seq(join(", ", steps), ". ", ending))


def _reverse(world: World) -> Draft:
    items: list[object] = [*_numbers(world, 4, 7)] if world.chance(0.5) else [*_words(world, 4, 7)]
    back = _row(items[::-1])
    return Draft(kind="reverse", question=world.say(_REVERSE, x=_listing(world, items)), answer=_labelled("Reversed", "Backwards", back))


def _unique(world: World) -> Draft:
    items: list[object] = [*_numbers(world, 3, 5, top=99)] if world.chance(0.5) else [*_words(world, 3, 5)]
    repeated = [*items, *world.rng.choices(items, k=world.rng.randint(1, 3))]
    world.rng.shuffle(repeated)
    kept = _row(list(dict.fromkeys(repeated)))
    return Draft(kind="unique", question=world.say(_UNIQUE, x=_listing(world, repeated)), answer=f"Without repeats: {kept}.")


def _arithmetic(world: World) -> Draft:
    a, b = world.draw(lambda rng: (rng.randint(2, 500), rng.randint(2, 500)))
    operation = world.rng.choice(("+", "+", "-", "*"))
    a, b = (max(a, b), min(a, b)) if operation == "-" else (a % 98 + 2, b % 8 + 2) if operation == "*" else (a, b)
    question = world.say(_ARITHMETIC, x=f"{a} {operation} {b}")
    work = {"+": plus, "-": minus, "*": times}[operation](a, b)
    return Draft(kind="arithmetic", question=question, answer=f"{work}.")


_KINDS = (_arithmetic, _sort_numbers, _sort_numbers, _sort_words, _count_matching, _count_matching, _extremes, _total, _reverse, _unique)
