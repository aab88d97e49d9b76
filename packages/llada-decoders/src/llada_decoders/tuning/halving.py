"""Who is asked how much: successive halving (Jamieson and Talwalkar, arXiv 1502.07943) with a reserve.

All are asked few questions, the fastest half of those that may reach the floor twice as many, and so on. The
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
    """What is raced: it ``may_reach`` the floor until its answers tell otherwise, and ``reaches`` it once it
    was asked all. That this is no chance it ``may_show``, and is ``shown``, likewise.

    Its ``speed`` is that on the questions that it was asked.
    """

    @property
    def may_reach(self) -> bool: ...
    @property
    def reaches(self) -> bool: ...
    @property
    def may_show(self) -> bool: ...
    @property
    def shown(self) -> bool: ...
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
    """Let ``ask`` bring entrants to more questions, until one that was asked all is shown, or none can be.

    ``ask`` is given some entrants and a size of ``sizes``; one that has been asked so many already is not to
    be asked again. Once one reaches the floor, slower ones are asked on only as long as they may be shown to.
    By the ranks of the stages, none is then faster than the fastest that is shown; or, where none is, than
    the fastest that reaches the floor.
    """
    waiting, reached = list(entrants), False
    while waiting:
        racing, waiting = waiting, []
        for size in sizes:
            ask(racing, size)
            able = [each for each in racing if (each.may_show if reached else each.may_reach)]
            racing = sorted(able, key=lambda each: -each.speed)
            if size != sizes[-1]:
                kept = -(-len(racing) // 2)
                waiting += racing[kept:]
                racing = racing[:kept]
        if any(each.shown for each in racing):
            return
        reached = reached or any(each.reaches for each in racing)
        waiting = [each for each in waiting if each.may_show or not reached]
