"""Who is asked how much: successive halving (Jamieson and Talwalkar, arXiv 1502.07943) with a reserve.

All are asked few questions, the fastest half of those that may still pass twice as many, and so on. The
fastest are often those that fail later. So nobody is let go of for being slow: who is slower waits, and is
asked on where all that were faster have failed. Only who fails is out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

__all__ = ["FIRST", "Entrant", "halve", "stages"]

FIRST = 8
"""Questions of the first stage: few, as bad entrants are asked them too, and a rank by speed is wanted."""


class Entrant(Protocol):
    """What is raced: it ``may_pass`` until its answers show otherwise, and ``passes`` once they show that.

    Its ``speed`` is that on the questions that it was asked.
    """

    @property
    def may_pass(self) -> bool: ...
    @property
    def passes(self) -> bool: ...
    @property
    def speed(self) -> float: ...


_Entrant = TypeVar("_Entrant", bound=Entrant)


def stages(questions: int) -> list[int]:
    """How many questions an entrant has been asked after each stage: doubling, up to all."""
    sizes = [FIRST]
    while 2 * sizes[-1] < questions:
        sizes.append(2 * sizes[-1])
    return [*(size for size in sizes if size < questions), questions]


def halve(
    entrants: Sequence[_Entrant],
    sizes: Sequence[int],
    ask: Callable[[Sequence[_Entrant], int], None],
) -> None:
    """Let ``ask`` bring entrants to more questions, until one that was asked all passes, or all were.

    ``ask`` is given some that may pass and a size of ``sizes``; one that has been asked so many already is
    not to be asked again. The fastest that passes is then as fast as any that would, by the ranks of the
    stages.
    """
    waiting = list(entrants)
    while waiting:
        racing, waiting = waiting, []
        for size in sizes:
            ask(racing, size)
            racing = sorted((each for each in racing if each.may_pass), key=lambda each: -each.speed)
            if size != sizes[-1]:
                kept = -(-len(racing) // 2)
                waiting += racing[kept:]
                racing = racing[:kept]
        if any(each.passes for each in racing):
            return
