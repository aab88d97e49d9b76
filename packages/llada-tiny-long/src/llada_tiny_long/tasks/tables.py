"""Tables and counting: multiples, steps of one size, two steps in turn, a word in place of some numbers.

Where an answer ends, its own lines tell: they go down to 1, or say how many are left. A decoder that fills
many positions at a time would else have to know how far away the end is.
"""

from __future__ import annotations

from llada_tiny.tasks.answers import prefer, seq
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_MULTIPLES = wordings(
    "Write the tables of {n} and {m} from {hi} down to 1.",
    "Give me the multiples of {n} and {m}, from {hi} times to 1 time.",
    "Tables of {n} and {m}, from {hi} to 1",
    "List {hi} * {n} and {hi} * {m}, then down to 1, one line each.",
    "I want the {n} and {m} times tables from {hi} back to 1.",
    "Write {hi} times {n} and {m} and so on, back to 1.",
    unseen=(
        "Give me the tables of {n} and {m} from {hi} back to 1.",
        "Write the multiples of {n} and {m}, from {hi} down to 1.",
    ),
)
_COUNT = wordings(
    "Count up from {lo} by {n}. Write {k} numbers and how many are left.",
    "Start at {lo} and add {n} again and again. I want {k} lines with the rest.",
    "Write {k} numbers from {lo}, {n} apart, each with what is left.",
    "List {k} numbers: {lo} first, then {n} more each time. Say how many are left.",
    unseen=(
        "Count up by {n} from {lo}. I want {k} numbers and how many are left.",
        "Write {k} lines from {lo}, adding {n} again and again, with what is left.",
    ),
)
_BACK = wordings(
    "Count back from {lo} by {n}. Write {k} numbers and how many are left.",
    "Start at {lo} and subtract {n} again and again. I want {k} lines with the rest.",
    "Write {k} numbers down from {lo}, {n} apart, each with what is left.",
    "List {k} numbers: {lo} first, then {n} less each time. Say how many are left.",
    unseen=(
        "Count back by {n} from {lo}. I want {k} numbers and how many are left.",
        "Write {k} lines from {lo}, taking {n} again and again, with what is left.",
    ),
)
_TURNS = wordings(
    "Start with {a}. In turn add {n} and subtract {m}. Write {k} lines and how many are left.",
    "Begin at {a}, then add {n}, subtract {m}, add {n} and so on. I want {k} lines with the rest.",
    "Write {k} lines from {a}: plus {n} and minus {m} in turn, each with what is left.",
    "From {a}, go up {n} and down {m} in turn, {k} times. Say how many are left.",
    unseen=(
        "Begin with {a}. In turn add {n} and subtract {m}. I want {k} lines with the rest.",
        "Write {k} lines: from {a} up {n} and down {m} in turn. Say how many are left.",
    ),
)
_BUZZ = wordings(
    "Count down from {hi} to 1, but say {w} for multiples of {n}.",
    "Count back from {hi} to 1. Write {w} instead of each multiple of {n}.",
    "Write the numbers from {hi} down to 1 with {w} for every multiple of {n}.",
    "From {hi} back to 1: numbers, but {w} where {n} divides them.",
    unseen=(
        "Write the numbers from {hi} back to 1, but say {w} for multiples of {n}.",
        "Count down from {hi} to 1 with {w} instead of each multiple of {n}.",
    ),
)
_INSTEAD = ("back", "fish", "frog", "fast", "gold", "bird", "stop", "keys", "busy", "blue")


def make(world: World) -> Draft:
    """One table or count."""
    return world.rng.choice((_multiples, _count, _count_back, _in_turn, _with_a_word))(world)


def _multiples(world: World) -> Draft:
    n, m, hi = world.draw(lambda rng: (*rng.sample(range(2, 10), 2), rng.randint(9, 19)))
    lines = [f"{k} * {n} = {k * n}, {k} * {m} = {k * m}" for k in range(hi, 0, -1)]
    return Draft(kind="multiples", question=world.say(_MULTIPLES, n=n, m=m, hi=hi), answer="\n".join(lines))


def _count(world: World) -> Draft:
    n, lo, k = world.draw(lambda rng: (rng.randint(2, 15), rng.randint(1, 99), rng.randint(20, 42)))
    answer = _with_rest([str(lo + n * place) for place in range(k)])
    return Draft(kind="count", question=world.say(_COUNT, n=n, lo=lo, k=k), answer=answer)


def _count_back(world: World) -> Draft:
    n, last, k = world.draw(lambda rng: (rng.randint(2, 15), rng.randint(1, 99), rng.randint(20, 42)))
    numbers = [last + n * place for place in reversed(range(k))]
    answer = _with_rest([str(number) for number in numbers])
    return Draft(kind="count_back", question=world.say(_BACK, n=n, lo=numbers[0], k=k), answer=answer)


def _in_turn(world: World) -> Draft:
    a, n, m, k = world.draw(
        lambda rng: (rng.randint(150, 400), rng.randint(3, 49), rng.randint(2, 15), rng.randint(10, 20))
    )
    lines, value = [], a
    for place in range(k):
        after = value - m if place % 2 else value + n
        lines.append(f"{value} - {m} = {after}" if place % 2 else f"{value} + {n} = {after}")
        value = after
    question = world.say(_TURNS, a=a, n=n, m=m, k=k)
    return Draft(kind="in_turn", question=question, answer=_with_rest(lines))


def _with_rest(lines: list[str]) -> str:
    """Each line with how many come after it."""
    return "\n".join(
        [f"{line}, {left} left" for left, line in zip(reversed(range(len(lines))), lines, strict=True)]
    )


def _with_a_word(world: World) -> Draft:
    n, hi, word = world.draw(
        lambda rng: (rng.choice((3, 4, 5, 6, 7, 8, 9)), rng.randint(40, 110), rng.choice(_INSTEAD))
    )
    said = ", ".join([word if k % n == 0 else str(k) for k in range(hi, 0, -1)])
    answer = seq(said, ". ", prefer("That is all.", "That was it."))
    return Draft(kind="with_a_word", question=world.say(_BUZZ, n=n, hi=hi, w=word), answer=answer)
