"""Equations in x, several at a time, each solved line by line and checked."""

from __future__ import annotations

import random
from dataclasses import dataclass

from llada_tiny.tasks.answers import Node, join, prefer, seq
from llada_tiny.tasks.instance import Draft
from llada_tiny.tasks.world import World, wordings

_ASK = wordings(
    "Solve these equations: {x}",
    "Find x in each: {x}",
    "Solve and check: {x}",
    "What is x in these equations? {x}",
    "Here are some equations: {x}. Solve them line by line.",
    "Solve for x and test each answer: {x}",
    "I need x for each of these: {x}",
    unseen=("Find x in these equations: {x}", "Here are some equations: {x}. Find x and check each."),
)


@dataclass(frozen=True, slots=True)
class Equation:
    """``a x + b = c x + d`` with the solution x."""

    a: int
    b: int
    c: int
    x: int

    @property
    def d(self) -> int:
        return (self.a - self.c) * self.x + self.b

    def sides(self, of: str = "x") -> tuple[str, str]:
        """Both sides with x, or with a number in its place."""
        left = _sum(_product(self.a, of), self.b)
        return left, _sum(_product(self.c, of), self.d) if self.c else str(self.d)


def make(world: World) -> Draft:
    """Three to five equations."""
    equations = world.draw(_some)
    comma = world.rng.choice((", ", "\n", "; "))
    said = comma.join(
        [f"{place}) {' = '.join(each.sides())}" for place, each in enumerate(equations, start=1)]
    )
    answer = join("\n", [seq(f"{place}) ", _solved(each)) for place, each in enumerate(equations, start=1)])
    return Draft(kind="equations", question=world.say(_ASK, x=said), answer=answer)


def _some(rng: random.Random) -> tuple[Equation, ...]:
    return tuple(_equation(rng) for _ in range(rng.choice((3, 4, 4, 5, 5))))


def _equation(rng: random.Random) -> Equation:
    while True:
        c = rng.choice((0, 0, rng.randint(2, 8)))
        equation = Equation(
            a=c + rng.randint(2, 9), b=rng.choice((-1, 1, 1)) * rng.randint(1, 40), c=c, x=rng.randint(2, 19)
        )
        if equation.a <= 12 and equation.d != 0 and (equation.c or equation.d > 0):
            return equation


def _solved(each: Equation) -> Node:
    left, right = each.sides()
    factor, total = each.a - each.c, each.d - each.b
    lines = [f"{left} = {right}"]
    if each.c:
        lines.append(f"{_sum(_product(factor, 'x'), each.b)} = {each.d}")
    lines.append(f"{factor}x = {_sum(str(each.d), -each.b)} = {total}")
    lines.append(f"x = {total} / {factor} = {each.x}")
    result = each.a * each.x + each.b
    tested = f"{each.sides(f' * {each.x}')[0]} = {result}"
    if each.c:
        tested += f" and {each.sides(f' * {each.x}')[1]} = {result}"
    return seq("\n".join(lines), "\n", prefer(f"Then it is {tested}.", f"Here you have {tested}."))


def _product(factor: int, of: str) -> str:
    return f"{factor}{of}"


def _sum(term: str, number: int) -> str:
    return f"{term} + {number}" if number >= 0 else f"{term} - {-number}"
