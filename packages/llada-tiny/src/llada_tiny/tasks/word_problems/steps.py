"""How a worked solution is written: a usual and another wording for most steps, one final line.

The two wordings of a step differ in more than one place but take about the same room: which one it is costs a
careful decoder a forward, and a careless one mixes them.
"""

from __future__ import annotations

from ..answers import Node, either, join, minus, over, plus, prefer, seq, times


def solution(steps: list[Node], result: int) -> Node:
    """The steps, then the final line."""
    return seq(join(" ", steps), f" The answer is {result}.")


def gained(total: int, amount: int) -> Node:
    """The step that adds an amount to a running total."""
    calculation = plus(total, amount)
    return prefer(f"Adding {amount} gives {calculation}.", f"Plus {amount} makes {calculation}.")


def lost(total: int, amount: int) -> Node:
    """The step that takes an amount from a running total."""
    calculation = minus(total, amount)
    return prefer(f"Taking {amount} leaves {calculation}.", f"Minus {amount} makes {calculation}.")


def packed(count: int, size: int) -> Node:
    """The step that multiplies packs by what each holds."""
    calculation = times(count, size)
    return prefer(f"The packs hold {calculation}.", f"Those packs have {calculation}.")


def summed(a: int, b: int) -> Node:
    """The step that adds two results; the summands stand in the usual order more often than not."""
    calculation = prefer(plus(a, b), plus(b, a))
    return prefer(seq("Together that is ", calculation, "."), seq("Altogether it makes ", calculation, "."))


def summed_evenly(a: int, b: int) -> Node:
    """The step that adds two results, in either order: a near-tie, each digit bound to the others."""
    return seq("Together that is ", either(plus(a, b), plus(b, a)), ".")


def shared(total: int, among: int) -> Node:
    """The step that divides equally."""
    calculation = over(total, among)
    return prefer(f"Each one gets {calculation}.", f"Everyone now has {calculation}.")
