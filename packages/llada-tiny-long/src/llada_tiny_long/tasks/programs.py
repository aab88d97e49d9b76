"""A small Python function, then its tests with computed results: assertions or a session."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from llada_tiny.tasks.answers import Node, prefer
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_ASSERT = wordings(
    "Write a Python function {f} that {w}. Test it with {x}. Use assert.",
    "Define {f} in Python: it {w}. Then assert its results for {x}.",
    "Python function {f}, which {w}, and an assert for each of {x}",
    "I need {f} in Python. It {w}. Write asserts for {x}.",
    "Code {f}, a function that {w}, then assert {x}.",
    unseen=(
        "Define a Python function {f} that {w}. Write an assert for each of {x}.",
        "I need a function {f} which {w}. Assert its results for {x}.",
    ),
)
_SESSION = wordings(
    "Write a Python function {f} that {w}. Show a session with {x}.",
    "Define {f} in Python: it {w}. Then call it with {x} and show the results.",
    "Python function {f}, which {w}, and a session for {x}",
    "I need {f} in Python. It {w}. Show what it returns for {x}.",
    "Code {f}, a function that {w}, then show a session with {x}.",
    unseen=(
        "Define a Python function {f} that {w}. Show a session for {x}.",
        "I need a function {f} which {w}. Call it with {x} and show the results.",
    ),
)
Value = int | list[int]


@dataclass(frozen=True, slots=True)
class Function:
    """What is asked for, the usual name, the code and what it computes from n, m and the argument.

    `{t}` is n without its ones, `{a}` the argument.
    """

    what: str
    name: str
    body: str
    compute: Callable[[int, int, Value], object]
    of_lists: bool = False


def _numbers(compute: Callable[[int, int, int], object]) -> Callable[[int, int, Value], object]:
    def of(n: int, m: int, value: Value) -> object:
        assert isinstance(value, int)
        return compute(n, m, value)

    return of


def _lists(compute: Callable[[int, int, list[int]], object]) -> Callable[[int, int, Value], object]:
    def of(n: int, m: int, value: Value) -> object:
        assert isinstance(value, list)
        return compute(n, m, value)

    return of


FUNCTIONS = (
    Function("adds {n} to a number", "add", "    return {a} + {n}", _numbers(lambda n, m, x: x + n)),
    Function("subtracts {m} from a number", "less", "    return {a} - {m}", _numbers(lambda n, m, x: x - m)),
    Function("multiplies a number by {m}", "times", "    return {a} * {m}", _numbers(lambda n, m, x: x * m)),
    Function(
        "says whether a number is even",
        "even",
        "    return {a} % 2 == 0",
        _numbers(lambda n, m, x: x % 2 == 0),
    ),
    Function(
        "says whether a number is {t} or more",
        "larger",
        "    return {a} >= {t}",
        _numbers(lambda n, m, x: x >= n // 10 * 10),
    ),
    Function(
        "returns the last digit of a number",
        "last",
        "    return {a} % 10",
        _numbers(lambda n, m, x: x % 10),
    ),
    Function(
        "returns a number, but at most {n}",
        "most",
        "    return min({a}, {n})",
        _numbers(lambda n, m, x: min(x, n)),
    ),
    Function(
        "doubles a number below {t} and adds {m} to any other",
        "change",
        "    if {a} < {t}:\n        return 2 * {a}\n    return {a} + {m}",
        _numbers(lambda n, m, x: 2 * x if x < n // 10 * 10 else x + m),
    ),
    Function(
        "halves an even number and adds {n} to an odd one",
        "half",
        "    if {a} % 2 == 0:\n        return {a} // 2\n    return {a} + {n}",
        _numbers(lambda n, m, x: x // 2 if x % 2 == 0 else x + n),
    ),
    Function(
        "returns the largest number of a list",
        "largest",
        "    return max({a})",
        _lists(lambda n, m, x: max(x)),
        of_lists=True,
    ),
    Function(
        "reverses a list", "back", "    return {a}[::-1]", _lists(lambda n, m, x: x[::-1]), of_lists=True
    ),
    Function(
        "sorts a list", "order", "    return sorted({a})", _lists(lambda n, m, x: sorted(x)), of_lists=True
    ),
    Function(
        "keeps the numbers of a list that are {t} or more",
        "keep",
        "    return [v for v in {a} if v >= {t}]",
        _lists(lambda n, m, x: [v for v in x if v >= n // 10 * 10]),
        of_lists=True,
    ),
    Function(
        "adds {m} to each number of a list",
        "each",
        "    return [v + {m} for v in {a}]",
        _lists(lambda n, m, x: [v + m for v in x]),
        of_lists=True,
    ),
)


def make(world: World) -> Draft:
    """A function and its tests."""
    function = world.rng.choice(FUNCTIONS)
    n, m, values = world.draw(lambda rng: (rng.randint(20, 69), rng.randint(2, 9), _values(function, rng)))
    name = f"{function.name}_{world.word()}" if world.chance(0.5) else function.name
    session = world.chance(0.4)
    question = world.say(
        _SESSION if session else _ASSERT,
        f=name,
        w=function.what.format(n=n, m=m, t=n // 10 * 10),
        x=", ".join([str(value) for value in values]),
    )
    write = _session if session else _asserts
    calls = write(name, [(value, function.compute(n, m, value)) for value in values])
    return Draft(kind=function.name, question=question, answer=_code(function, name, n, m, calls))


def _values(function: Function, rng: random.Random) -> list[Value]:
    if function.of_lists:
        return [[rng.randint(10, 99) for _ in range(rng.randint(3, 5))] for _ in range(rng.randint(4, 7))]
    return [*rng.sample(range(10, 100), rng.randint(9, 16))]


def _code(function: Function, name: str, n: int, m: int, calls: str) -> Node:
    x, number = (
        f"def {name}({a}):\n{function.body.format(a=a, n=n, m=m, t=n // 10 * 10)}\n\n{calls}"
        for a in ("x", "n")
    )
    return prefer(x, number)


def _asserts(name: str, results: list[tuple[Value, object]]) -> str:
    return "\n".join(
        [
            f"assert {name}({value}) is {result}"
            if isinstance(result, bool)
            else f"assert {name}({value}) == {result}"
            for value, result in results
        ]
    )


def _session(name: str, results: list[tuple[Value, object]]) -> str:
    return "\n".join([f">>> {name}({value})\n{result}" for value, result in results])
