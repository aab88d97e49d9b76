"""How a worked solution is written: free operand order, two or three wordings a step, one final line."""

from __future__ import annotations

from ..answers import Node, either, join, plus, seq


def solution(steps: list[Node], result: int) -> Node:
    """The steps, then the final line."""
    return seq(join(" ", steps), " ", either(f"The answer is {result}.", f"So the result is {result}."))


def gained(name: str, items: str, total: int, amount: int) -> Node:
    """The step that adds an amount to a running total."""
    calculation = plus(total, amount)
    return either(
        seq(f"Adding {amount} gives ", calculation, "."),
        seq("Then there are ", calculation, f" {items}."),
        seq(f"Now {name} has ", calculation, "."),
    )


def lost(name: str, items: str, total: int, amount: int) -> Node:
    """The step that takes an amount from a running total."""
    calculation = f"{total} - {amount} = {total - amount}"
    return either(
        seq(f"Taking away {amount} leaves ", calculation, "."),
        seq("Then there are ", calculation, f" {items}."),
        seq(f"Now {name} has ", calculation, "."),
    )


def summed(a: int, b: int) -> Node:
    """The step that adds two results."""
    return either(seq("Together that is ", plus(a, b), "."), seq("In total that makes ", plus(a, b), "."))
