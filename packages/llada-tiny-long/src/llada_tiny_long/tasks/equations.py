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

    def sides(self) -> tuple[str, str]:
        """Both sides as they are written."""
        left = _sum(f"{self.a}x", self.b)
        return left, _sum(f"{self.c}x", self.d) if self.c else str(self.d)


def make(world: World) -> Draft:
    """Three or four equations."""
    equations = world.draw(_some)
    comma = world.rng.choice((", ", "\n", "; "))
    said = comma.join(
        [f"{place}) {' = '.join(each.sides())}" for place, each in enumerate(equations, start=1)]
    )
    answer = join("\n", [seq(f"{place}) ", _solved(each)) for place, each in enumerate(equations, start=1)])
    return Draft(kind="equations", question=world.say(_ASK, x=said), answer=answer)


def _some(rng: random.Random) -> tuple[Equation, ...] | None:
    equations = tuple(_equation(rng) for _ in range(rng.choice((3, 3, 4))))
    # More of the long ones, with x on both sides, would not fit into 448 tokens.
    return equations if sum(each.c > 0 for each in equations) <= 3 else None


def _equation(rng: random.Random) -> Equation:
    while True:
        c = rng.choice((0, rng.randint(2, 7)))
        b = rng.choice((-1, 1, 1)) * rng.randint(1, 40)
        equation = Equation(a=rng.randint(c + 2, 9), b=b, c=c, x=rng.randint(2, 19))
        if equation.d > 0:
            return equation


def _solved(each: Equation) -> Node:
    left, right = each.sides()
    factor, total = each.a - each.c, each.d - each.b
    lines = [f"{left} = {right}"]
    if each.c:
        lines.append(f"{_sum(f'{factor}x', each.b)} = {each.d}")
    lines.append(f"{factor}x = {_sum(str(each.d), -each.b)} = {total}")
    lines.append(f"x = {total} / {factor} = {each.x}")
    tested = _tested(each.a, each.x, each.b)
    if each.c:
        tested += f" and {_tested(each.c, each.x, each.d)}"
    return seq("\n".join(lines), "\n", prefer(f"Then it is {tested}.", f"Here you have {tested}."))


def _tested(factor: int, x: int, number: int) -> str:
    """One side with x in it, the product first: each result follows from one operation."""
    product = factor * x
    return f"{factor} * {x} = {product}, {_sum(str(product), number)} = {product + number}"


def _sum(term: str, number: int) -> str:
    return f"{term} + {number}" if number >= 0 else f"{term} - {-number}"
